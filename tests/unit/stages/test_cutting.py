import sys
from itertools import pairwise

import numpy as np
import pytest

from valle.stages.rules.cutting import FORCED, PAUSE, CuttingRules, _split, cut
from warehouse.rows import Span

RULES = CuttingRules(min_duration=1.0, max_duration=20.0, max_pause=1.0, margin=0.1)


def spans(*pairs: tuple[float, float]) -> list[Span]:
    return [Span(start=start, end=end) for start, end in pairs]


def test_neighbours_with_short_pauses_become_one_segment_with_margins():
    (piece,) = cut(spans((1.0, 3.0), (3.5, 6.0)), 10.0, rules=RULES)
    assert (piece.start, piece.end, piece.cut) == (pytest.approx(0.9), pytest.approx(6.1), PAUSE)


def test_a_long_pause_always_ends_a_segment():
    pieces = cut(spans((1.0, 3.0), (5.0, 7.0)), 10.0, rules=RULES)
    assert [round(piece.duration, 3) for piece in pieces] == [2.2, 2.2]


def test_a_long_run_is_split_at_its_longest_pause():
    pieces = cut(spans((0.0, 9.0), (9.2, 14.0), (14.6, 22.0), (22.3, 26.0)), 26.0, rules=RULES)
    assert [(round(piece.start, 2), round(piece.end, 2)) for piece in pieces] == [(0.0, 14.1), (14.5, 26.0)]


def test_a_longer_pause_that_leaves_a_crumb_is_not_preferred():
    pieces = cut(spans((0.0, 0.5), (1.4, 11.0), (11.2, 22.0)), 22.0, rules=RULES)
    assert [round(piece.start, 2) for piece in pieces] == [0.0, 11.1]


def test_a_short_piece_joins_its_neighbour():
    pieces = cut(spans((0.0, 0.6), (1.5, 12.0), (12.3, 12.6), (13.5, 21.0)), 21.0, rules=RULES)
    assert all(piece.duration >= RULES.min_duration for piece in pieces)


def test_speech_without_a_pause_is_cut_by_force_at_the_quietest_point():
    asked = []

    def quietest(earliest: float, latest: float) -> float:
        asked.append((earliest, latest))
        return (earliest + latest) / 2

    pieces = cut(spans((0.0, 45.0)), 45.0, rules=RULES, quietest=quietest)
    assert [piece.cut for piece in pieces] == [FORCED] * len(pieces)
    assert len(asked) == len(pieces) - 1
    assert pieces[0].end == pieces[1].start == sum(asked[0]) / 2


def test_margins_never_pass_the_middle_of_a_pause_nor_the_recording():
    rules = CuttingRules(min_duration=1.0, max_duration=20.0, max_pause=0.05, margin=0.5)
    pieces = cut(spans((0.2, 3.0), (3.1, 6.0)), 6.2, rules=rules)
    assert [(piece.start, piece.end) for piece in pieces] == [(0.0, pytest.approx(3.05)), (pytest.approx(3.05), 6.2)]


@pytest.mark.parametrize("seed", range(40))
def test_any_speech_is_covered_in_order_without_overlap_and_within_the_limit(seed: int):
    generator = np.random.default_rng(seed)
    edges = np.cumsum(generator.gamma(1.0, 3.0, size=60))
    speech = [Span(start=float(a), end=float(b)) for a, b in edges.reshape(-1, 2)]
    duration = float(edges[-1]) + 1
    pieces = cut(speech, duration, rules=RULES)
    assert all(piece.duration <= RULES.max_duration + 1e-9 for piece in pieces)
    assert all(before.end <= after.start + 1e-9 for before, after in pairwise(pieces))
    for span in speech:
        covered = sum(max(0.0, min(span.end, p.end) - max(span.start, p.start)) for p in pieces)
        assert covered == pytest.approx(span.end - span.start)
    for piece in pieces:
        if piece.cut == PAUSE:
            assert not any(span.start + 1e-9 < piece.end < span.end - 1e-9 for span in speech)


def _lines_run(function) -> int:
    """Count the lines of Python that a call runs: its work, on any machine."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return count


def _evenly_paused(pauses: np.ndarray) -> list[Span]:
    starts = np.cumsum(pauses + 2.5)
    return [Span(start=float(start), end=float(start) + 2.5) for start in starts]


@pytest.mark.parametrize(("first", "last"), [(0.5, 0.5), (0.1, 0.9), (0.9, 0.1)])
def test_twice_the_speech_without_a_pause_of_a_second_is_hardly_more_than_twice_the_work(first: float, last: float):
    short, long = (_evenly_paused(np.linspace(first, last, count)) for count in (400, 800))
    work = [_lines_run(lambda speech=speech: cut(speech, speech[-1].end + 3, rules=RULES)) for speech in (short, long)]
    assert work[1] < 2.5 * work[0]


def test_ten_hours_without_a_pause_of_a_second_are_cut_within_the_limits():
    for pauses in (np.full(12_000, 0.5), np.linspace(0.1, 0.9, 12_000), np.linspace(0.9, 0.1, 12_000)):
        speech = _evenly_paused(pauses)
        pieces = cut(speech, speech[-1].end + 3, rules=RULES)
        assert all(RULES.min_duration <= piece.duration <= RULES.max_duration for piece in pieces)
        assert len(pieces) >= 1_500


@pytest.mark.parametrize("seed", range(20))
def test_a_run_is_split_where_a_plain_search_for_the_longest_pause_splits_it(seed: int):
    def by_search(group: list[Span], room: float) -> list[list[Span]]:
        if group[-1].end - group[0].start <= room or len(group) == 1:
            return [group]

        def preference(index: int) -> tuple[bool, float]:
            left, right = group[:index], group[index:]
            shorter = min(left[-1].end - left[0].start, right[-1].end - right[0].start)
            return shorter >= RULES.min_duration, right[0].start - left[-1].end

        split = max(range(1, len(group)), key=preference)
        return by_search(group[:split], room) + by_search(group[split:], room)

    generator = np.random.default_rng(seed)
    # Lengths in frames, so that many pauses are equal.
    edges = np.cumsum(generator.integers(1, 40, size=160)) * 0.032
    group = [Span(start=float(a), end=float(b)) for a, b in edges.reshape(-1, 2)]
    assert _split(group, 19.8, RULES) == by_search(group, 19.8)
