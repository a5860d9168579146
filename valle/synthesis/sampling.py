"""Samplers: pure functions from logits to logits or ids. None writes into what it is given."""

import torch
from torch import Tensor

from valle.synthesis.options import SamplingOptions

REMOVED = float("-inf")


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Logits [..., V] with all but the k largest removed; ties with the k-th stay. 0 keeps all."""
    if k == 0 or k >= logits.shape[-1]:
        return logits
    threshold = logits.topk(k, dim=-1).values[..., -1:]
    return logits.masked_fill(logits < threshold, REMOVED)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Logits [..., V] of the smallest set of likeliest entries whose probabilities reach p; the others removed.

    Nucleus sampling (Holtzman et al., arXiv 1904.09751). The entry that crosses p stays, so there is
    always one. 1 keeps all.
    """
    if p >= 1:
        return logits
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    before = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1)
    removed = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, order, before >= p)
    return logits.masked_fill(removed, REMOVED)


def penalize_repetition(logits: Tensor, recent: Tensor, penalty: float) -> Tensor:
    """Logits [V] with log(penalty) taken off for every occurrence of an id in `recent` [n].

    Taking it off the logit divides the odds whatever the sign of the logit, unlike dividing the logit itself.
    """
    if penalty == 1 or len(recent) == 0:
        return logits
    counts = torch.bincount(recent, minlength=logits.shape[-1]).to(logits.dtype)
    return logits - counts * torch.log(torch.tensor(penalty, dtype=logits.dtype))


def draw(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """One id per row of logits [n, V]: the likeliest when the temperature is 0, else drawn from softmax(logits / t)."""
    if temperature == 0:
        return logits.argmax(-1)
    probabilities = (logits.double() / temperature).softmax(-1)
    # By the inverse of the cumulative distribution: one number per row, so a row's draw is its own generator's alone.
    uniform = torch.rand(len(logits), 1, generator=generator, dtype=torch.float64).to(logits.device)
    cumulative = probabilities.cumsum(-1)
    ids = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)[:, 0]
    return ids.clamp(max=logits.shape[-1] - 1)


def sample_frame(logits: Tensor, recent: Tensor, options: SamplingOptions, generator: torch.Generator) -> int:
    """The next id of codebook 0 from logits [V], given the codes before it [n]."""
    window = recent[-options.repetition_window :]
    logits = penalize_repetition(logits.float(), window, options.repetition_penalty)
    if options.temperature == 0:
        return int(logits.argmax())
    # Filters see the tempered distribution, so that top_p means the share that is really drawn from.
    logits = keep_top_p(keep_top_k(logits / options.temperature, options.top_k), options.top_p)
    return int(draw(logits[None], 1.0, generator))
