"""Optimizers, and the moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from valle.model.valle import ValleModel

if TYPE_CHECKING:
    from valle.training.options import TrainOptions

# Entries of parameter groups that come from the options, not from the optimizer's own progress.
_GROUP_OPTIONS = ("weight_decay", "betas", "eps")


def parameter_groups(model: ValleModel, weight_decay: float) -> list[dict[str, object]]:
    """Group the parameters: matrices with weight decay; norms, biases and the separator without."""
    named = list(model.named_parameters())
    # Decaying norms and biases towards 0 shrinks activations without regularizing the model.
    is_matrix = {name: parameter.dim() >= 2 and not name.endswith("bias") for name, parameter in named}
    return [
        {"params": [parameter for name, parameter in named if is_matrix[name]], "weight_decay": weight_decay},
        {"params": [parameter for name, parameter in named if not is_matrix[name]], "weight_decay": 0.0},
    ]


def make_optimizer(model: ValleModel, options: TrainOptions) -> torch.optim.Optimizer:
    """Make the optimizer that the options name.

    AdamW (Loshchilov and Hutter, arXiv 1711.05101); schedule-free AdamW (Defazio et al., arXiv 2405.15682), which
    needs no decay of the learning rate; Prodigy (Mishchenko and Defazio, arXiv 2306.06101), which estimates the
    learning rate, given a factor of 1.
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


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Load the state of an optimizer, but keep the weight decay and betas of its options.

    `load_state_dict` alone would put back those of the earlier run, and a changed option would have no effect.
    """
    configured = [{name: group[name] for name in _GROUP_OPTIONS if name in group} for group in optimizer.param_groups]
    optimizer.load_state_dict(dict(state))
    for group, values in zip(optimizer.param_groups, configured, strict=True):
        group.update(values)


@contextmanager
def evaluation_weights(model: ValleModel, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Swap in the evaluation weights of a schedule-free optimizer for the block; restore the training weights.

    The optimizer evaluates gradients at another point than the average that it recommends. It could compute its way
    back, but not exactly, so the training weights are copied and restored bit by bit.
    """
    to_evaluation, to_training = getattr(optimizer, "eval", None), getattr(optimizer, "train", None)
    if to_evaluation is None or to_training is None:
        yield
        return
    training = [parameter.detach().clone() for parameter in model.parameters()]
    to_evaluation()
    try:
        yield
    finally:
        to_training()
        with torch.no_grad():
            for parameter, weights in zip(model.parameters(), training, strict=True):
                parameter.copy_(weights)


def make_average(model: ValleModel, decay: float) -> AveragedModel:
    """Make an exponential moving average of a model's weights, on their device.

    The decay rises to `decay` (bias-corrected warm-up), so that the average forgets the initial weights.
    """

    @torch.no_grad()
    def update(averages: Any, weights: Any, num_averaged: Tensor | int) -> None:
        updates = int(num_averaged)
        factor = 1 - min(decay, (1 + updates) / (10 + updates))
        for average, current in zip(averages, weights, strict=True):
            average.lerp_(current, factor)

    return AveragedModel(model, multi_avg_fn=update)
