"""Penalties: logits with something taken off.

All of them divide odds: a logarithm is taken off the logit. Dividing the logit itself would make a code likelier
when its logit is negative.
"""

import math

import torch
from torch import Tensor


def penalize_repetition(logits: Tensor, recent: Tensor, penalty: float, *, decay: float = 0.0) -> Tensor:
    """Logits [V] with the odds of an id divided for every occurrence of it in `recent` [n], latest last.

    An occurrence d frames ago divides them by penalty ** (1 / d ** decay): with decay 0 by the penalty itself,
    else the less the longer it is ago. After the penalty of CTRL (arXiv 1909.05858).
    """
    if penalty == 1 or len(recent) == 0:
        return logits
    distances = torch.arange(len(recent), 0, -1, device=recent.device, dtype=logits.dtype)
    weights = torch.bincount(recent, weights=distances**-decay, minlength=logits.shape[-1])
    return logits - math.log(penalty) * weights.to(logits)


def penalize_length(logits: Tensor, stop: int, num_frames: int, exponent: float) -> Tensor:
    """Logits [V] with the odds of stopping divided by num_frames ** exponent: above 0 for longer speech, below for
    shorter.
    """
    if exponent == 0 or num_frames < 2:
        return logits
    taken_off = torch.zeros_like(logits)
    taken_off[stop] = exponent * math.log(num_frames)
    return logits - taken_off
