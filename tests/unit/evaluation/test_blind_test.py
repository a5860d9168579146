"""Blind tests: pairs of the same text in random order, answers as rows, CMOS and preference with intervals."""

import random
from collections import Counter
from datetime import UTC, datetime

import pytest

from valle.data_root import DataRoot
from valle.evaluation.blind_test import answer, draw_pair, results, systems_with_audio
from valle.evaluation.stats.blind import summarize_answers
from warehouse.errors import ConfigurationError
from warehouse.listener_rows import BlindAnswerRow
from warehouse.model_rows import ScoreRow

PAIR = ("beta", "alpha")


@pytest.fixture(scope="module")
def root(tmp_path_factory, make_row):
    data_root = DataRoot(tmp_path_factory.mktemp("data"))
    rows = [
        make_row(system, f"u{number}", path=f"{system}/{number}.wav")
        for system in ("alpha", "beta")
        for number in range(3)
    ]
    rows += [make_row("gamma", "elsewhere"), make_row("silent", "u0", path=None)]
    data_root.lake.append(ScoreRow, rows, "scores")
    return data_root


def test_pairs_are_drawn_evenly_and_answers_are_rows_whatever_the_order(root):
    assert systems_with_audio(root) == ["alpha", "beta", "gamma"]
    rng, orders = random.Random(0), Counter()
    for _ in range(6):
        pair = draw_pair(root, PAIR, " Ada ", rng)
        better_is_first = pair.first.parts[-2] == "alpha"
        assert pair.first.name == pair.second.name and pair.first.parent != pair.second.parent
        # The listener prefers alpha by two points, wherever it is.
        row = answer(root, pair, -2 if better_is_first else 2)
        assert (row.system_a, row.system_b, row.rating, row.listener) == ("alpha", "beta", -2, "Ada")
        orders[better_is_first] += 1
    assert len(orders) == 2, "both orders occur"
    (result,) = results(root)
    assert (result.num_answers, result.num_listeners, result.cmos.value, result.preference.value) == (6, 1, -2, 0)
    asked = [draw_pair(root, PAIR, "Ada", rng).utterance for _ in range(20)]
    assert set(asked) == {"u0", "u1", "u2"}


@pytest.mark.parametrize(
    ("systems", "listener", "sentence"),
    [(PAIR, " ", "Give a name"), (("a", "a"), "x", "two systems that differ"), (("alpha", "gamma"), "x", "same text")],
)
def test_a_pair_that_cannot_be_drawn_is_refused_in_a_sentence(root, systems, listener, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        draw_pair(root, systems, listener, random.Random(0))


def test_a_rating_is_between_its_bounds(root):
    with pytest.raises(ConfigurationError, match="from -3 to 3, not 4"):
        answer(root, draw_pair(root, PAIR, "Eve", random.Random(0)), 4)


def blind_answer(number, rating, speaker):
    return BlindAnswerRow(
        answer_id=str(number),
        listener=f"listener-{number % 2}",
        evaluation="e",
        utterance=f"u{number}",
        speaker=speaker,
        text="",
        system_a="a",
        system_b="b",
        path_a="",
        path_b="",
        is_a_first=True,
        rating=rating,
        answered_at=datetime.now(UTC),
    )


def test_no_preference_counts_half_and_intervals_are_over_speakers():
    ratings = [1, 3, 0, 2, -1, 1, 0, 2]
    rows = [blind_answer(number, rating, f"s{number // 2}") for number, rating in enumerate(ratings)]
    (result,) = summarize_answers(rows)
    assert (result.cmos.value, result.preference.value, result.num_listeners) == (1.0, (5 + 1) / 8, 2)
    assert result.cmos.low < 1.0 < result.cmos.high
    (single,) = summarize_answers(rows[:2])
    assert (single.cmos.low, single.cmos.high) == (None, None)
