"""Draw codes from logits: temperature, inverse-CDF draws, and the repetition-aware draw of VALL-E 2."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from valle.synthesis.options import RepetitionAwareOptions


def scale_by_temperature(logits: Tensor, temperature: float) -> Tensor:
    """Return logits [..., V] divided by a temperature above 0, in double precision.

    The largest becomes 0, so that the smallest temperature cannot overflow.
    """
    return (logits - logits.amax(-1, keepdim=True)).double() / temperature


def dynamic_temperature(logits: Tensor, highest: float, lowest: float) -> float:
    """Return the temperature for logits [V]: near `lowest` when one code is nearly certain, else near `highest`.

    A sigmoid of slope 10 around a probability of 0.5.
    """
    probability = float(logits.softmax(-1).max())
    return highest - (highest - lowest) / (1 + math.exp(-10 * (probability - 0.5)))


def draw(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """Draw one id per row of logits [n, V] from softmax(logits / temperature); temperature 0 is the argmax."""
    if temperature == 0:
        return logits.argmax(-1)
    probabilities = scale_by_temperature(logits, temperature).softmax(-1)
    # Inverse CDF with one number per row: the draw of a row depends on its generator and not on the batch.
    uniform = torch.rand(len(logits), 1, generator=generator, dtype=torch.float64).to(logits.device)
    cumulative = probabilities.cumsum(-1)
    ids = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)[:, 0]
    return ids.clamp(max=logits.shape[-1] - 1)


def draw_likeliest_of(logits: Tensor, count: int, generator: torch.Generator) -> int:
    """Draw `count` ids from softmax(logits [V]) and return the likeliest of them."""
    drawn = draw(logits.expand(count, -1), 1.0, generator)
    return int(drawn[logits[drawn].argmax()])


def redraw_repetition(
    code: int, history: Tensor, logits: Tensor, *, options: RepetitionAwareOptions, generator: torch.Generator
) -> int:
    """Return `code`, or a draw from all of logits [V] if `code` is too frequent in the last frames of `history` [n].

    VALL-E 2, arXiv 2406.05370, algorithm 1. Frames before the start count as other codes, as in the paper.
    """
    if options.window == 0:
        return code
    ratio = int((history[-options.window :] == code).sum()) / options.window
    return int(draw(logits[None], 1.0, generator)) if ratio > options.threshold else code
