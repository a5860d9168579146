"""Beam search over codebook 0 by accumulated log-probabilities.

The search is a value and a pure step; the caller runs the model and orders its cache by the returned parents.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from valle.synthesis.options import BeamOptions


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """Codes [n] without the stop, their summed log-probability including the stop, and whether they have ended."""

    codes: Tensor
    score: float
    is_complete: bool


@dataclass(frozen=True, slots=True)
class Beams:
    """State of a search: B live beams, likeliest first, and the best finished hypotheses.

    `histories` [B, n] begin with `num_given` given codes; `scores` [B] sum the log-probabilities of the others. B is 1
    before the first step, then up to the width.
    """

    histories: Tensor
    scores: Tensor
    finished: tuple[Hypothesis, ...]
    num_given: int
    options: BeamOptions


def start_beams(given: Tensor, options: BeamOptions) -> Beams:
    """Start a search after the codes `given` [n]."""
    return Beams(
        histories=given[None],
        scores=torch.zeros(1, dtype=torch.float64, device=given.device),
        finished=(),
        num_given=len(given),
        options=options,
    )


def step(beams: Beams, logits: Tensor, stop: int) -> tuple[Beams, Tensor]:
    """Advance the beams by one frame, given the logits [B, V] after each history.

    Return the new beams and, for each, the row of the history that it extends. Beams that stop are kept as finished
    beside the live ones. Fewer than the width are left where logits are minus infinity, none where only the stop is.
    """
    width, size = beams.options.width, logits.shape[-1]
    scores = beams.scores[:, None] + logits.double().log_softmax(-1)  # [B, V]
    ended = [
        Hypothesis(history, score, is_complete=True)
        for history, score in zip(beams.histories, scores[:, stop].tolist(), strict=True)
        if score > float("-inf")
    ]
    finished = sorted((*beams.finished, *ended), key=lambda hypothesis: -_normalised(hypothesis, beams))[:width]
    # An ended beam has its place in `finished`; among the live ones it would crowd out a continuation.
    live = scores.index_fill(1, torch.tensor([stop], device=scores.device), float("-inf")).flatten()
    highest, indices = live.topk(min(width, len(live)))
    highest, indices = highest[highest.isfinite()], indices[highest.isfinite()]
    parents = indices // size
    histories = torch.cat([beams.histories[parents], (indices % size)[:, None]], dim=1)
    return replace(beams, histories=histories, scores=highest, finished=tuple(finished)), parents


def is_over(beams: Beams, max_frames: int) -> bool:
    """Return whether no live beam can beat the best finished one within `max_frames` (given codes included)."""
    if not len(beams.scores) or beams.histories.shape[1] >= max_frames:
        return True
    if not beams.finished:
        return False
    # A sum of log-probabilities only falls: the bound of a live beam is its score now over the longest length.
    longest = max_frames - beams.num_given + 1
    bound = float(beams.scores.max()) / float(longest) ** beams.options.length_exponent
    return _normalised(beams.finished[0], beams) >= bound


def best(beams: Beams) -> Hypothesis:
    """Return the best hypothesis; where the search was cut, a live one may beat every finished one."""
    live = [
        Hypothesis(history, score, is_complete=False)
        for history, score in zip(beams.histories, beams.scores.tolist(), strict=True)
    ]
    return max((*beams.finished, *live), key=lambda hypothesis: _normalised(hypothesis, beams))


def _normalised(hypothesis: Hypothesis, beams: Beams) -> float:
    """Divide the score by the length, stop included, to the power of the exponent."""
    length = max(1, len(hypothesis.codes) - beams.num_given + hypothesis.is_complete)
    return hypothesis.score / float(length) ** beams.options.length_exponent
