"""Subtract penalties for repetition and length from logits.

Every penalty divides odds: it subtracts a logarithm from a logit. Dividing the logit itself would make a code with a
negative logit likelier.
"""

import math

import torch
from torch import Tensor

from valle.synthesis.options import DryOptions

LONGEST_MATCH = 50
"""Frames; a longer repetition gets no larger penalty."""


def penalize_repetition(logits: Tensor, recent: Tensor, penalty: float, *, decay: float = 0.0) -> Tensor:
    """Divide the odds of an id in logits [V] for each of its occurrences in `recent` [n], latest last.

    An occurrence d frames ago divides them by penalty ** (1 / d ** decay): with decay 0 by the penalty itself.
    After the penalty of CTRL (arXiv 1909.05858).
    """
    if penalty == 1 or len(recent) == 0:
        return logits
    distances = torch.arange(len(recent), 0, -1, device=recent.device, dtype=logits.dtype)
    weights = torch.bincount(recent, weights=distances**-decay, minlength=logits.shape[-1])
    return logits - math.log(penalty) * weights.to(logits)


def penalize_length(logits: Tensor, stop: int, num_frames: int, exponent: float) -> Tensor:
    """Divide the odds of `stop` in logits [V] by num_frames ** exponent.

    An exponent above 0 makes speech longer, one below 0 shorter.
    """
    # The logarithm of one frame is 0.
    if exponent == 0 or num_frames < 2:
        return logits
    penalty = torch.zeros_like(logits)
    penalty[stop] = exponent * math.log(num_frames)
    return logits - penalty


def penalize_continuation(logits: Tensor, history: Tensor, options: DryOptions) -> Tensor:
    """Penalize the codes of logits [V] that would continue a repetition in `history` [n] ("DRY").

    Subtract multiplier * base ** (m - allowed_length) from each code that once followed m frames which are also the
    last m of the history. m is the longest such match and at least allowed_length. Proposed by P. E. Weidmann for
    text-generation-webui (pull request 5677).
    """
    if options.multiplier == 0 or len(history) <= options.allowed_length:
        return logits
    matches = suffix_matches(history)
    longest = torch.zeros(logits.shape[-1], dtype=torch.long, device=history.device)
    longest = longest.scatter_reduce(0, history[1:], matches, "amax").to(logits.device)
    excess = (longest - options.allowed_length).to(logits)
    penalty = options.multiplier * options.base**excess
    return logits - penalty.where(longest >= options.allowed_length, torch.zeros_like(logits))


def suffix_matches(history: Tensor) -> Tensor:
    """Count, for each index of `history` [n] but the last, the frames ending there that equal its last frames: [n - 1].

    Counts are at most LONGEST_MATCH.
    """
    count = len(history) - 1
    lengths = torch.zeros(count, dtype=torch.long, device=history.device)
    matching = torch.ones(count, dtype=torch.bool, device=history.device)
    for back in range(min(LONGEST_MATCH, count)):
        # history[i - back] against history[n - 1 - back], for every i at once.
        equal = torch.zeros_like(matching)
        equal[back:] = history[: count - back] == history[count - back]
        matching = matching & equal
        if not matching.any():
            break
        lengths = lengths + matching
    return lengths
