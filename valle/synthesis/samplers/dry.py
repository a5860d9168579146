"""DRY, "don't repeat yourself": a penalty on codes that would go on with something that was said before."""

import torch
from torch import Tensor

from valle.synthesis.options import DryOptions

LONGEST_MATCH = 50
"""Frames; a longer repetition is not penalized more."""


def penalize_continuation(logits: Tensor, history: Tensor, options: DryOptions) -> Tensor:
    """Logits [V] with multiplier * base ** (m - allowed_length) taken off each code that once followed m frames which
    are also the last m of `history` [n], where m is the longest such match and at least allowed_length.

    Proposed by P. E. Weidmann for text-generation-webui (pull request 5677).
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
    """For each place i but the last of `history` [n], how many frames that end at i are also the last ones: [n - 1].

    At most LONGEST_MATCH.
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
