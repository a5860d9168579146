import dataclasses
import random

import pytest

from valle.evaluation.metrics.drift import drift_section, measure_drift, quarter_errors
from valle.evaluation.stats.bootstrap import BootstrapOptions
from valle.text.errors import count_word_errors

FAST = BootstrapOptions(replicas=300)
EIGHT = "one two three four five six seven eight"


def test_errors_are_counted_in_the_quarter_of_their_word():
    assert quarter_errors(EIGHT, EIGHT).errors == (0, 0, 0, 0)
    assert quarter_errors(EIGHT, "won two three four five six seven eight").errors == (1, 0, 0, 0)
    assert quarter_errors(EIGHT, "one two three five six seven eight").errors == (0, 1, 0, 0)
    assert quarter_errors(EIGHT, "one two three four").errors == (0, 0, 2, 2)
    assert quarter_errors(EIGHT, EIGHT).words == (2, 2, 2, 2)


def test_an_added_word_counts_where_the_word_before_it_does():
    assert quarter_errors(EIGHT, f"uh {EIGHT}").errors == (1, 0, 0, 0)
    assert quarter_errors(EIGHT, f"{EIGHT} and and and").errors == (0, 0, 0, 3)
    assert quarter_errors(EIGHT, "one two uh three four five six seven eight").errors == (1, 0, 0, 0)


def test_short_lines_and_silence_lose_no_error():
    assert quarter_errors("one", "").errors == (1, 0, 0, 0)
    assert quarter_errors("one two", "").words == (1, 0, 1, 0)
    assert sum(quarter_errors("one two three", "").errors) == 3


def test_quarters_add_up_to_the_errors_and_words_of_the_line():
    generator = random.Random(0)
    for _ in range(200):
        said = " ".join(generator.choices("abcdef", k=generator.randint(1, 30)))
        heard = " ".join(generator.choices("abcdef", k=generator.randint(0, 30)))
        counted, whole = quarter_errors(said, heard), count_word_errors(said, heard)
        assert (sum(counted.errors), sum(counted.words)) == (whole.errors, whole.length)
        assert max(counted.words) - min(counted.words) <= 1


def test_speech_that_falls_apart_drifts_and_even_speech_does_not(make_row):
    fading = [make_row("m", str(i), f"s{i}", reference=EIGHT, hypothesis="won two three four uh") for i in range(4)]
    drift = measure_drift(fading, options=FAST)
    assert [quarter.value for quarter in drift.quarters] == [0.5, 0.0, 1.0, 1.0]
    assert drift.ratio == 2.0
    even = [make_row("m", str(i), f"s{i}", reference=EIGHT, hypothesis="") for i in range(4)]
    assert measure_drift(even, options=FAST).ratio == 1.0
    assert measure_drift(even, options=FAST).quarters[0].low == 1.0


def test_a_quarter_without_words_and_a_first_quarter_without_errors_have_no_rate(make_row):
    drift = measure_drift([make_row(reference="one two", hypothesis="one")], options=FAST)
    assert (drift.quarters[0].value, drift.quarters[1], drift.quarters[2].value) == (0.0, None, 1.0)
    assert drift.ratio is None


@pytest.mark.parametrize(("seconds", "expected"), [(20.0, 0), (20.5, 1)])
def test_the_table_says_how_many_lines_are_long(make_row, seconds, expected):
    row = dataclasses.replace(make_row(reference=EIGHT, hypothesis="one"), duration=seconds)
    made = drift_section({"model": [row]}, FAST)
    assert made.rows == (("`model`", "50.00", "100.00", "100.00", "100.00", "2.00", expected),)
