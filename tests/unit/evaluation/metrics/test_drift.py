import random

import numpy as np

from valle.evaluation.metrics.drift import quarter_errors, split_quarters
from valle.text.errors import count_word_errors

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
        reference = " ".join(generator.choices("abcdef", k=generator.randint(1, 30)))
        hypothesis = " ".join(generator.choices("abcdef", k=generator.randint(0, 30)))
        counted, whole = quarter_errors(reference, hypothesis), count_word_errors(reference, hypothesis)
        assert (sum(counted.errors), sum(counted.words)) == (whole.errors, whole.length)
        assert max(counted.words) - min(counted.words) <= 1


def test_quarters_hold_every_sample_once():
    samples = np.arange(10, dtype=np.float32)
    assert [len(part) for part in split_quarters(samples)] == [3, 3, 2, 2]
    assert np.array_equal(np.concatenate(split_quarters(samples)), samples)
