"""Ids from logits."""

import torch
from torch import Tensor

from valle.synthesis.samplers.temperature import temper


def draw(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """One id per row of logits [n, V]: the likeliest when the temperature is 0, else drawn from softmax(logits / t)."""
    if temperature == 0:
        return logits.argmax(-1)
    probabilities = temper(logits, temperature).softmax(-1)
    # By the inverse of the cumulative distribution: one number per row, so a row's draw is its own generator's alone.
    uniform = torch.rand(len(logits), 1, generator=generator, dtype=torch.float64).to(logits.device)
    cumulative = probabilities.cumsum(-1)
    ids = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)[:, 0]
    return ids.clamp(max=logits.shape[-1] - 1)


def likeliest_of(logits: Tensor, count: int, generator: torch.Generator) -> int:
    """The likeliest of `count` ids that are drawn from softmax(logits [V])."""
    drawn = draw(logits.expand(count, -1), 1.0, generator)
    return int(drawn[logits[drawn].argmax()])
