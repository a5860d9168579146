"""The learning rate as a pure function of the step, without state to save."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from valle.training.options import TrainOptions

SHAPES = ("cosine", "linear", "constant", "one-cycle", "noam")
# Initial rate of one-cycle as a fraction of the peak.
_ONE_CYCLE_START = 1 / 25


def scheduled_rate(options: TrainOptions, step: int) -> float:
    """Compute the rate of update `step` of a run."""
    return learning_rate(
        step,
        peak=options.learning_rate,
        warmup_steps=options.warmup_steps,
        max_steps=options.max_steps,
        final_share=options.final_learning_rate,
        shape=options.schedule,
    )


def learning_rate(
    step: int, *, peak: float, warmup_steps: int, max_steps: int, final_share: float, shape: str = "cosine"
) -> float:
    """Compute the rate of update `step`, from 1: linear warm-up to `peak`, then a SHAPE down to `final_share` of it.

    `one-cycle` (Smith and Topin, arXiv 1708.07120) rises by a cosine from 1/25 of the peak and falls by one; `noam`
    (Vaswani et al., arXiv 1706.03762) falls with the square root of the step, regardless of `max_steps`.
    """
    if shape == "noam":
        warmup = max(1, warmup_steps)
        return peak * min(step / warmup, math.sqrt(warmup / step))
    if shape == "one-cycle" and step <= warmup_steps:
        risen = (1 - math.cos(math.pi * step / warmup_steps)) / 2
        return peak * (_ONE_CYCLE_START + (1 - _ONE_CYCLE_START) * risen)
    if step <= warmup_steps:
        return peak * step / warmup_steps
    progress = min(1.0, (step - warmup_steps) / max(1, max_steps - warmup_steps))
    remaining = (
        1.0 if shape == "constant" else 1 - progress if shape == "linear" else (1 + math.cos(math.pi * progress)) / 2
    )
    return peak * (final_share + (1 - final_share) * remaining)
