import random
from functools import cache

import pytest

from valle.text.errors import (
    align_words,
    count_character_errors,
    count_phoneme_errors,
    count_word_errors,
    share_of_words_found,
)


def brute_force_distance(reference, hypothesis):
    """The definition of the edit distance, as a recursion over prefixes."""

    @cache
    def distance(i, j):
        if i == 0 or j == 0:
            return i + j
        return min(
            distance(i - 1, j) + 1,
            distance(i, j - 1) + 1,
            distance(i - 1, j - 1) + (reference[i - 1] != hypothesis[j - 1]),
        )

    return distance(len(reference), len(hypothesis))


def random_texts(seed):
    generator = random.Random(seed)
    return tuple(" ".join(generator.choices(["a", "b", "cc", "dd"], k=generator.randint(0, 9))) for _ in range(2))


@pytest.mark.parametrize("seed", range(200))
def test_word_and_character_errors_equal_the_brute_force_distance(seed):
    reference, hypothesis = random_texts(seed)
    words = count_word_errors(reference, hypothesis)
    assert words.errors == brute_force_distance(reference.split(), hypothesis.split())
    assert words.length == len(reference.split())
    assert words.length - words.deletions + words.insertions == len(hypothesis.split())
    assert count_character_errors(reference, hypothesis).errors == brute_force_distance(reference, hypothesis)


@pytest.mark.parametrize("seed", range(200))
def test_an_alignment_reads_back_as_both_texts_and_has_as_many_marks_as_errors(seed):
    reference, hypothesis = random_texts(seed)
    aligned = align_words(reference, hypothesis)
    assert " ".join(word.reference for word in aligned if word.reference is not None) == reference
    assert " ".join(word.hypothesis for word in aligned if word.hypothesis is not None) == hypothesis
    errors = count_word_errors(reference, hypothesis)
    marks = [word.mark for word in aligned]
    assert len(marks) - marks.count("=") == errors.errors
    assert all((word.mark == "=") == (word.reference == word.hypothesis) for word in aligned)


def test_the_kinds_of_errors_are_told_apart():
    errors = count_word_errors("the yellow lamps would light up", "the yellow lamp light up here")
    assert (errors.substitutions, errors.deletions, errors.insertions) == (1, 1, 1)
    assert errors.rate == 0.5


def test_nothing_heard_is_all_deletions_and_babble_is_above_one():
    assert count_word_errors("one two", "").rate == 1.0
    assert count_word_errors("one", "one two three four").rate == 3.0
    assert count_word_errors("", "").rate == 0.0
    assert count_word_errors("", "one two").rate == 2.0
    assert count_character_errors("", "ab").rate == 2.0
    assert count_phoneme_errors([], ["a"]).rate == 1.0


def test_surplus_spaces_count_neither_as_words_nor_as_characters():
    assert count_word_errors("one  two", " one two ").errors == 0
    assert count_character_errors("one  two", " one two ").errors == 0


@pytest.mark.parametrize(
    ("hypothesis", "share"),
    [
        ("the cat sat on the mat", 1),
        ("the cat on the mat", 0),
        ("the cat ran on the mat", 0),
        ("sat the cat on the mat", 0),
        ("a cat sat in that mat", 1),
        ("so the cat has sat on the mat now", 1),
        ("", 0),
    ],
)
def test_words_are_found_at_their_place(hypothesis, share):
    assert share_of_words_found("sat", hypothesis, before="the cat", after="on the mat") == share


def test_the_share_of_words_found_is_exact():
    assert share_of_words_found("one two three four", "two four five") == 0.5
    assert share_of_words_found("the end", "the cat end", before="the cat") == 0.5
    assert share_of_words_found("", "anything", before="any") is None
