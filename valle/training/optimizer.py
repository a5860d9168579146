"""The optimizers a run can choose, and the moving average of its weights."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from valle.model.valle import ValleModel
from valle.training.options import TrainOptions


def parameter_groups(model: ValleModel, weight_decay: float) -> list[dict[str, object]]:
    """Matrices with weight decay; norms, biases and the separator without."""
    named = list(model.named_parameters())
    is_matrix = {name: parameter.dim() >= 2 and not name.endswith("bias") for name, parameter in named}
    return [
        {"params": [parameter for name, parameter in named if is_matrix[name]], "weight_decay": weight_decay},
        {"params": [parameter for name, parameter in named if not is_matrix[name]], "weight_decay": 0.0},
    ]


def make_optimizer(model: ValleModel, options: TrainOptions) -> torch.optim.Optimizer:
    """The optimizer that the options name, over the model's parameters.

    AdamW (Loshchilov and Hutter, arXiv 1711.05101); schedule-free AdamW (Defazio et al., arXiv 2405.15682), which
    needs no falling rate; Prodigy (Mishchenko and Defazio, arXiv 2306.06101), which finds its rate, given 1 as its
    factor.
    """
    groups = parameter_groups(model, options.weight_decay)
    rate, betas = options.learning_rate, options.betas
    match options.optimizer:
        case "adamw":
            return torch.optim.AdamW(groups, lr=rate, betas=betas, eps=1e-8, fused=True)
        case "schedule-free":
            from schedulefree import AdamWScheduleFree

            optimizer = AdamWScheduleFree(groups, lr=rate, betas=betas, eps=1e-8)
            optimizer.train()
            return optimizer
        case "prodigy":
            from prodigyopt import Prodigy

            return Prodigy(groups, lr=rate, betas=betas, eps=1e-8, safeguard_warmup=True)


@contextmanager
def weights_to_use(model: ValleModel, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Inside, the model has the weights it is used with.

    A schedule-free optimizer takes gradients at another point than the average that it recommends. It would compute
    its way back, which is not exact to the bit, so the weights are kept and put back.
    """
    to_use, to_train = getattr(optimizer, "eval", None), getattr(optimizer, "train", None)
    if to_use is None or to_train is None:
        yield
        return
    kept = [parameter.detach().clone() for parameter in model.parameters()]
    to_use()
    try:
        yield
    finally:
        to_train()
        with torch.no_grad():
            for parameter, weights in zip(model.parameters(), kept, strict=True):
                parameter.copy_(weights)


class WeightAverage:
    """An exponential moving average of a model's weights, on their device."""

    def __init__(self, model: ValleModel, decay: float) -> None:
        self._decay = decay
        self._updates = 0
        self.weights: dict[str, Tensor] = {}
        self.restore(self.start(model))

    @staticmethod
    def start(model: ValleModel) -> dict[str, object]:
        """The state of an average that has seen nothing but the weights of a model."""
        return {"weights": {name: tensor.detach() for name, tensor in model.named_parameters()}, "updates": 0}

    @torch.no_grad()
    def update(self, model: ValleModel) -> None:
        """Move a step towards the weights of a model; young averages move faster, else they would keep the start."""
        self._updates += 1
        decay = min(self._decay, self._updates / (9 + self._updates))
        for name, tensor in model.named_parameters():
            self.weights[name].lerp_(tensor, 1 - decay)

    def state(self) -> dict[str, object]:
        """What `restore` needs to go on exactly here."""
        return {"weights": self.weights, "updates": self._updates}

    def restore(self, state: Mapping[str, object]) -> None:
        """Go on from what `state` returned."""
        updates, weights = state["updates"], state["weights"]
        assert isinstance(updates, int)
        assert isinstance(weights, Mapping)
        self._updates = updates
        for name, tensor in weights.items():
            assert isinstance(tensor, Tensor)
            self.weights[name] = tensor.clone()
