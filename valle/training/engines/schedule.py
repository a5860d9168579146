"""The learning rate as a pure function of the step, without state to save."""

import math

SHAPES = ("cosine", "linear", "constant")


def learning_rate(
    step: int, *, peak: float, warmup_steps: int, max_steps: int, final_share: float, shape: str = "cosine"
) -> float:
    """Compute the rate of update `step`, from 1: linear warm-up to `peak`, then a SHAPE down to `final_share` of it."""
    if step <= warmup_steps:
        return peak * step / warmup_steps
    progress = min(1.0, (step - warmup_steps) / max(1, max_steps - warmup_steps))
    remaining = {"cosine": (1 + math.cos(math.pi * progress)) / 2, "linear": 1 - progress, "constant": 1.0}[shape]
    return peak * (final_share + (1 - final_share) * remaining)
