"""Beam search: the likeliest few beginnings are kept, by their accumulated log-probabilities.

The search is a value and a pure step; who runs the model keeps its cache in the order of the parents.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from valle.synthesis.options import BeamOptions


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """Codes [n] without the stop, the sum of their log-probabilities with the stop's, and whether they have ended."""

    codes: Tensor
    score: float
    is_complete: bool


@dataclass(frozen=True, slots=True)
class Beams:
    """A search on its way: B live beginnings, likeliest first, and the best hypotheses that have ended.

    `histories` [B, n] begin with `num_given` codes that were given, `scores` [B] are sums of log-probabilities of the
    others. B is 1 before the first step, then up to the width.
    """

    histories: Tensor
    scores: Tensor
    finished: tuple[Hypothesis, ...]
    num_given: int
    options: BeamOptions


def start_beams(given: Tensor, options: BeamOptions) -> Beams:
    """A search that begins with the codes `given` [n]."""
    return Beams(
        histories=given[None],
        scores=torch.zeros(1, dtype=torch.float64, device=given.device),
        finished=(),
        num_given=len(given),
        options=options,
    )


def step(beams: Beams, logits: Tensor, stop: int) -> tuple[Beams, Tensor]:
    """The beams one frame later, from the logits [B, V] of the frame after each history, and the row of the history
    that each came from.

    Beams that stop are kept as finished and take no place of a live one. There may be fewer than the width when
    logits are minus infinity, and none when no code but the stop is left.
    """
    width, size = beams.options.width, logits.shape[-1]
    scores = beams.scores[:, None] + logits.double().log_softmax(-1)  # [B, V]
    ended = [
        Hypothesis(history, score, is_complete=True)
        for history, score in zip(beams.histories, scores[:, stop].tolist(), strict=True)
        if score > float("-inf")
    ]
    finished = sorted((*beams.finished, *ended), key=lambda one: -_normalised(one, beams))[:width]
    live = scores.index_fill(1, torch.tensor([stop], device=scores.device), float("-inf")).flatten()
    highest, places = live.topk(min(width, len(live)))
    highest, places = highest[highest.isfinite()], places[highest.isfinite()]
    parents = places // size
    histories = torch.cat([beams.histories[parents], (places % size)[:, None]], dim=1)
    return replace(beams, histories=histories, scores=highest, finished=tuple(finished)), parents


def is_over(beams: Beams, max_frames: int) -> bool:
    """Whether no live beam can become better than the best finished one within `max_frames` (given codes included)."""
    if not len(beams.scores) or beams.histories.shape[1] >= max_frames:
        return True
    if not beams.finished:
        return False
    # A sum of log-probabilities only falls, so a live one is at best what it is now over the longest length.
    longest = max_frames - beams.num_given + 1
    bound = float(beams.scores.max()) / float(longest) ** beams.options.length_exponent
    return _normalised(beams.finished[0], beams) >= bound


def best(beams: Beams) -> Hypothesis:
    """The best hypothesis. One that is still live may be better than any that has ended, where the search was cut."""
    live = [
        Hypothesis(history, score, is_complete=False)
        for history, score in zip(beams.histories, beams.scores.tolist(), strict=True)
    ]
    return max((*beams.finished, *live), key=lambda one: _normalised(one, beams))


def _normalised(one: Hypothesis, beams: Beams) -> float:
    """The score over the length, stop included, to the power of the exponent."""
    length = max(1, len(one.codes) - beams.num_given + one.is_complete)
    return one.score / float(length) ** beams.options.length_exponent
