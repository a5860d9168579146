import pytest

from valle.evaluation.stats.bootstrap import BootstrapOptions
from valle.evaluation.stats.breakdown import (
    class_names,
    class_of,
    errors_by_phoneme_pair,
    errors_by_sentence_length,
    errors_by_word_length,
)

FAST = BootstrapOptions(replicas=200)


def values(estimates):
    return [None if estimate is None else round(estimate.value, 3) for estimate in estimates]


def test_classes_are_named_by_what_they_contain():
    names = class_names((3, 5))
    assert names == ("1-3", "4-5", "6+")
    assert [names[class_of(number, (3, 5))] for number in (1, 3, 4, 5, 6, 90)] == [
        "1-3",
        "1-3",
        "4-5",
        "4-5",
        "6+",
        "6+",
    ]


def test_an_error_counts_for_the_length_of_its_word(make_row):
    row = make_row(reference="the wooden bridge is irresponsible", hypothesis="the wood bridge is")
    assert values(errors_by_word_length([row], options=FAST)) == [0.0, None, 0.5, 1.0]


@pytest.mark.parametrize(
    ("hypothesis", "expected"), [("no it responsible", [1.0, 0.0]), ("it responsible oh", [0.0, 1.0])]
)
def test_an_inserted_word_counts_with_the_word_before_it_and_the_first_with_the_first(make_row, hypothesis, expected):
    row = make_row(reference="it responsible", hypothesis=hypothesis)
    short, _, _, long = values(errors_by_word_length([row], options=FAST))
    assert [short, long] == expected


def test_classes_hold_all_errors_of_the_rows(make_evaluation):
    rows = make_evaluation({"model": (0.3, 0.5)})
    letters = [len(word) for row in rows for word in row.reference.split()]
    counts = [sum(class_of(length, (3, 5, 7)) == number for length in letters) for number in range(4)]
    rates = errors_by_word_length(rows, options=FAST)
    errors = sum(rate.value * count for rate, count in zip(rates, counts, strict=True))
    assert errors == pytest.approx(sum(row.word_errors for row in rows))


def test_sentences_are_grouped_by_their_words_with_intervals_by_speaker(make_row):
    rows = [
        make_row(speaker="ann", reference="one two three", hypothesis="one two"),
        make_row(speaker="bob", reference="one two three", hypothesis="one two three"),
        make_row(speaker="bob", reference="one two three four five six seven eight nine", hypothesis="one"),
    ]
    short, middle, long, longest = errors_by_sentence_length(rows, options=FAST)
    assert (round(short.value, 3), short.low <= short.value <= short.high) == (0.167, True)
    assert (middle, round(long.value, 3), long.low, longest) == (None, 0.889, None, None)


def test_a_pair_is_lost_with_either_of_its_phonemes_or_by_a_phoneme_between_them():
    texts = [("stɹiː", "stiː"), ("stɹiː", "stɹiː"), ("st", "sat")]
    found = {"".join(pair.pair): (pair.errors, pair.count) for pair in errors_by_phoneme_pair(texts)}
    assert found == {"st": (1, 3), "tɹ": (1, 2), "ɹiː": (1, 2)}


def test_pairs_are_ranked_by_their_errors_and_rare_ones_are_left_out():
    texts = [("ab", ""), ("ab", ""), ("bc", "bc"), ("bc", "b"), ("xy", "")]
    found = errors_by_phoneme_pair(texts, min_count=2)
    assert [(pair.pair, pair.rate) for pair in found] == [(("a", "b"), 1.0), (("b", "c"), 0.5)]
