"""Cut speech spans into spans of a bounded length, in pauses where there are any.

Pure arithmetic over seconds, without audio or model.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warehouse.errors import ConfigurationError
from warehouse.rows import Span

PAUSE, FORCED = "pause", "forced"
QuietestPoint = Callable[[float, float], float]
"""A function that returns the best second to cut at between two seconds without a pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CuttingRules:
    """Seconds: bounds of the length, the pause that ends a segment, and the silence that is kept at the ends.

    Raises ConfigurationError when a split could not leave two whole segments.
    """

    min_duration: float = 1.0
    max_duration: float = 20.0
    max_pause: float = 1.0
    margin: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.min_duration <= (self.max_duration - 2 * self.margin) / 2:
            raise ConfigurationError(
                f"segments of {self.min_duration} to {self.max_duration} s cannot be cut: "
                "set max_duration to more than twice min_duration."
            )
        if self.margin < 0 or self.max_pause < 0:
            raise ConfigurationError("margin and max_pause of segment cannot be negative: set them to 0 or more.")


@dataclass(frozen=True, slots=True)
class CutSpan:
    """A span to keep, and how its ends were chosen: `pause`, or `forced` where speech continues through an end."""

    start: float
    end: float
    cut: str

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.end - self.start


def _length(group: Sequence[Span]) -> float:
    return group[-1].end - group[0].start


def _groups(speech: Sequence[Span], max_pause: float) -> list[list[Span]]:
    """Group speech spans into runs without a pause over `max_pause`; merge overlapping spans."""
    groups: list[list[Span]] = []
    for span in sorted(speech, key=lambda span: span.start):
        if not groups or span.start - groups[-1][-1].end > max_pause:
            groups.append([span])
        elif span.start <= groups[-1][-1].end:
            groups[-1][-1] = Span(start=groups[-1][-1].start, end=max(span.end, groups[-1][-1].end))
        else:
            groups[-1].append(span)
    return groups


class _LongestPause:
    """Sparse table of the longest pause (the first of equals) before the spans of any range; n log n to build."""

    def __init__(self, group: Sequence[Span]) -> None:
        starts = np.array([span.start for span in group])
        ends = np.array([span.end for span in group])
        self._pauses = np.concatenate(([-np.inf], starts[1:] - ends[:-1]))
        row = np.arange(len(group))
        self._table = [row]
        # Row k has the answer for every range of 2^k spans.
        while len(row) > (step := 1 << (len(self._table) - 1)):
            row = self._longer(row[:-step], row[step:])
            self._table.append(row)

    def __call__(self, first: int, last: int) -> int:
        """Return the answer for the spans `first` to `last`, both included."""
        k = (last - first + 1).bit_length() - 1
        row = self._table[k]
        return int(self._longer(row[first], row[last - (1 << k) + 1]))

    def _longer(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.where(self._pauses[left] >= self._pauses[right], left, right)


def _split(group: Sequence[Span], longest: float, rules: CuttingRules) -> list[list[Span]]:
    """Split a run of spans at its longest pause, recursively, into pieces of at most `longest` seconds.

    A pause that would leave a piece under `min_duration` is used only when there is no other. Neither depth nor time
    grows with the square of the run: ten hours of speech may have no pause of a second.
    """
    longest_pause = _LongestPause(group)
    pieces: list[list[Span]] = []
    pending = [(0, len(group) - 1)]
    while pending:
        first, last = pending.pop()
        begin, end = group[first].start, group[last].end
        if end - begin <= longest or first == last:
            pieces.append(list(group[first : last + 1]))
            continue
        # Of the indices to split at, those in the middle leave both sides long enough.
        indices = range(first + 1, last + 1)
        low = bisect_left(indices, True, key=lambda at: group[at - 1].end - begin >= rules.min_duration)
        high = bisect_left(indices, True, key=lambda at: end - group[at].start < rules.min_duration)
        split = longest_pause(indices[low], indices[high - 1]) if low < high else longest_pause(first + 1, last)
        pending += [(split, last), (first, split - 1)]
    return pieces


def _joined(pieces: Sequence[list[Span]], longest: float, rules: CuttingRules) -> list[list[Span]]:
    """Join pieces under `min_duration` to a neighbour, where the pause and the length of both allow it."""
    joined: list[list[Span]] = []
    for piece in pieces:
        both = [*joined[-1], *piece] if joined else piece
        is_short = bool(joined) and min(_length(joined[-1]), _length(piece)) < rules.min_duration
        if is_short and _length(both) <= longest and piece[0].start - joined[-1][-1].end <= rules.max_pause:
            joined[-1] = both
        else:
            joined.append(piece)
    return joined


def _forced(span: Span, longest: float, rules: CuttingRules, quietest: QuietestPoint) -> list[CutSpan]:
    """Cut speech without a pause at its quietest points into pieces of `min_duration` to `longest` seconds."""
    pieces: list[CutSpan] = []
    start = span.start
    while span.end - start > longest:
        latest = min(start + longest, span.end - rules.min_duration)
        point = quietest(max(start + rules.min_duration, latest - longest / 2), latest)
        pieces.append(CutSpan(start, point, FORCED))
        start = point
    return [*pieces, CutSpan(start, span.end, FORCED if pieces else PAUSE)]


def cut(
    speech: Sequence[Span], duration: float, *, rules: CuttingRules, quietest: QuietestPoint | None = None
) -> list[CutSpan]:
    """Return spans of at most `rules.max_duration` seconds that cover `speech`, in order and without overlap.

    Ends are in pauses, `margin` seconds out, never past the middle of a pause nor past the ends of the recording of
    `duration` seconds. Longer speech without a pause is cut at `quietest` (its latest point by default). Pieces
    shorter than `min_duration` that cannot be joined to a neighbour are returned too: the caller drops them.
    """
    longest = rules.max_duration - 2 * rules.margin
    pieces: list[CutSpan] = []
    for group in _groups(speech, rules.max_pause):
        for piece in _joined(_split(group, longest, rules), longest, rules):
            whole = Span(start=piece[0].start, end=piece[-1].end)
            pieces.extend(_forced(whole, longest, rules, quietest or (lambda _, latest: latest)))
    return _with_margins(pieces, duration, rules.margin)


def _with_margins(pieces: Sequence[CutSpan], duration: float, margin: float) -> list[CutSpan]:
    widened: list[CutSpan] = []
    for index, piece in enumerate(pieces):
        before = pieces[index - 1].end if index else 0.0
        after = pieces[index + 1].start if index + 1 < len(pieces) else duration
        start_room = (piece.start - before) / 2 if index else piece.start
        end_room = (after - piece.end) / 2 if index + 1 < len(pieces) else duration - piece.end
        start = piece.start - max(0.0, min(margin, start_room))
        end = piece.end + min(margin, end_room)
        widened.append(CutSpan(start, end, piece.cut))
    return widened
