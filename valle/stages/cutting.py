"""Where to cut a recording: speech spans in, spans of a bearable length out, cut in pauses wherever there is one.

Pure arithmetic over seconds; no audio, no model.
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
"""The best second to cut at between two seconds that hold no pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CuttingRules:
    """Seconds: lengths to reach, the pause that ends a segment, and the silence that is kept at the ends.

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
    """A span to keep, and how its ends were chosen: `pause`, or `forced` where speech runs on through an end."""

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
    """Speech spans in runs without a pause over `max_pause`; overlapping spans are merged."""
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
    """The index of the longest pause (the first of equals) before the spans of any range, after n log n of work."""

    def __init__(self, group: Sequence[Span]) -> None:
        starts = np.array([span.start for span in group])
        ends = np.array([span.end for span in group])
        self._pauses = np.concatenate(([-np.inf], starts[1:] - ends[:-1]))
        level = np.arange(len(group))
        self._levels = [level]
        # Row k holds the answer for every range of 2^k spans.
        while len(level) > (step := 1 << (len(self._levels) - 1)):
            level = self._better(level[:-step], level[step:])
            self._levels.append(level)

    def __call__(self, first: int, last: int) -> int:
        """The answer for the spans `first` to `last`, both included."""
        row = (last - first + 1).bit_length() - 1
        level = self._levels[row]
        return int(self._better(level[first], level[last - (1 << row) + 1]))

    def _better(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.where(self._pauses[left] >= self._pauses[right], left, right)


def _halves(group: Sequence[Span], room: float, rules: CuttingRules) -> list[list[Span]]:
    """A run of spans in pieces of at most `room` seconds, split at the longest pause again and again.

    A pause that would leave a piece under `min_duration` is used only when there is no other. Neither depth nor time
    grows with the square of the run: ten hours of speech may have no pause of a second.
    """
    longest_pause = _LongestPause(group)
    pieces: list[list[Span]] = []
    waiting = [(0, len(group) - 1)]
    while waiting:
        first, last = waiting.pop()
        begin, end = group[first].start, group[last].end
        if end - begin <= room or first == last:
            pieces.append(list(group[first : last + 1]))
            continue
        # Of the places to split, from first + 1 to last, those in the middle leave both sides long enough.
        places = range(first + 1, last + 1)
        low = bisect_left(places, True, key=lambda at: group[at - 1].end - begin >= rules.min_duration)
        high = bisect_left(places, True, key=lambda at: end - group[at].start < rules.min_duration)
        split = longest_pause(places[low], places[high - 1]) if low < high else longest_pause(first + 1, last)
        waiting += [(split, last), (first, split - 1)]
    return pieces


def _glued(pieces: Sequence[list[Span]], room: float, rules: CuttingRules) -> list[list[Span]]:
    """Pieces under `min_duration` joined to a neighbour, where the pause and the sum of both allow it."""
    joined: list[list[Span]] = []
    for piece in pieces:
        both = [*joined[-1], *piece] if joined else piece
        is_short = bool(joined) and min(_length(joined[-1]), _length(piece)) < rules.min_duration
        if is_short and _length(both) <= room and piece[0].start - joined[-1][-1].end <= rules.max_pause:
            joined[-1] = both
        else:
            joined.append(piece)
    return joined


def _forced(span: Span, room: float, rules: CuttingRules, quietest: QuietestPoint) -> list[CutSpan]:
    """Speech without a pause, cut at its quietest points into pieces of `min_duration` to `room` seconds."""
    pieces: list[CutSpan] = []
    start = span.start
    while span.end - start > room:
        latest = min(start + room, span.end - rules.min_duration)
        point = quietest(max(start + rules.min_duration, latest - room / 2), latest)
        pieces.append(CutSpan(start, point, FORCED))
        start = point
    return [*pieces, CutSpan(start, span.end, FORCED if pieces else PAUSE)]


def cut(
    speech: Sequence[Span], duration: float, *, rules: CuttingRules, quietest: QuietestPoint | None = None
) -> list[CutSpan]:
    """Spans of at most `rules.max_duration` seconds that hold all of `speech`, in order and without overlap.

    Ends lie in pauses, `margin` seconds out, never past the middle of a pause nor past the ends of the recording of
    `duration` seconds. Speech that runs longer without a pause is cut at `quietest` (its latest point by default).
    Pieces shorter than `min_duration` that no neighbour can take are returned too: the caller drops them.
    """
    room = rules.max_duration - 2 * rules.margin
    pieces: list[CutSpan] = []
    for group in _groups(speech, rules.max_pause):
        for piece in _glued(_halves(group, room, rules), room, rules):
            whole = Span(start=piece[0].start, end=piece[-1].end)
            pieces.extend(_forced(whole, room, rules, quietest or (lambda _, latest: latest)))
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
