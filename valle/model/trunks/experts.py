"""A mixture of gated MLPs, of which a router chooses two per slot (Jiang et al., arXiv 2401.04088).

No expert has a capacity, so no slot is dropped and the result of a row does not depend on the others of its batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from valle.model.attention import Mask
from valle.model.config import ModelConfig

TOP = 2
"""Experts per slot."""


@dataclass(frozen=True, slots=True)
class RouterReport:
    """Evenness of the use of experts.

    `balance` is 1 for even use and up to their number otherwise, with gradient; `load` [experts] is the fraction of
    choices of each expert, without.
    """

    balance: Tensor
    load: Tensor


def mean_report(reports: Sequence[RouterReport | None]) -> RouterReport | None:
    """Average the reports of layers; None without any."""
    present = [report for report in reports if report is not None]
    if not present:
        return None
    balance = torch.stack([report.balance for report in present]).mean()
    return RouterReport(balance, torch.stack([report.load for report in present]).mean(0))


class CosineRouter(nn.Module):
    """Score experts by cosines in few dimensions (X-MoE, Chi et al., arXiv 2204.09179).

    Hidden states then do not gather around the vectors of the experts, as they do with a linear router.
    """

    def __init__(self, width: int, experts: int) -> None:
        super().__init__()
        # Half as many dimensions as experts, as in the paper, which has more of them.
        size = max(2, experts // 2)
        self.project = nn.Linear(width, size, bias=False)
        self.vectors = nn.Parameter(torch.empty(experts, size))
        nn.init.orthogonal_(self.vectors)
        self.log_temperature = nn.Parameter(torch.full((1,), 0.07).log())

    def forward(self, x: Tensor) -> Tensor:
        """Compute the score of each expert for x [n, width], before the softmax: [n, experts]."""
        cosine = functional.normalize(self.project(x), dim=-1) @ functional.normalize(self.vectors, dim=-1).T
        return cosine / self.log_temperature.exp().clamp(min=0.01)


class ExpertsMlp(nn.Module):
    """Experts as one parameter per matrix, so that every parameter has a gradient, whichever experts are chosen."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.experts = config.experts
        self.router: nn.Module
        if config.router == "cosine":
            self.router = CosineRouter(config.width, config.experts)
        else:
            self.router = nn.Linear(config.width, config.experts, bias=False)
        self.inputs = nn.Parameter(torch.empty(config.experts, 2 * config.feed_forward, config.width))
        self.outputs = nn.Parameter(torch.empty(config.experts, config.width, config.feed_forward))
        self.report: RouterReport | None = None
        """Of the last forward."""

    def forward(self, x: Tensor, mask: Mask) -> Tensor:
        """Compute the weighted sum of the chosen experts for each slot of x [B, L, width]."""
        flat = x.flatten(0, 1)
        # In full precision: rounding would change which expert is chosen.
        probabilities = self.router(flat).float().softmax(-1)
        weights, chosen = probabilities.topk(TOP, dim=-1)
        weights = (weights / weights.sum(-1, keepdim=True)).to(x.dtype)
        self.report = self._report(probabilities, chosen, mask.valid(x.shape[0], x.shape[1], x.device))
        result = torch.zeros_like(flat)
        for expert in range(self.experts):
            slots, rank = (chosen == expert).nonzero(as_tuple=True)
            gate, up = functional.linear(flat[slots], self.inputs[expert]).chunk(2, dim=-1)
            output = functional.linear(functional.silu(gate) * up, self.outputs[expert])
            result = result.index_add(0, slots, (output * weights[slots, rank, None]).to(result.dtype))
        return result.view_as(x)

    def _report(self, probabilities: Tensor, chosen: Tensor, valid: Tensor | None) -> RouterReport:
        """Compute the balance loss (Fedus et al., arXiv 2101.03961, equations 4 to 6) over the slots in use."""
        if valid is not None:
            probabilities, chosen = probabilities[valid.flatten()], chosen[valid.flatten()]
        load = chosen.flatten().bincount(minlength=self.experts).float() / chosen.numel()
        return RouterReport(self.experts * (load * probabilities.mean(0)).sum(), load)
