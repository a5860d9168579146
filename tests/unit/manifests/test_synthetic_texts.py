"""Texts of synthetic speakers: drawn by key, balanced, and never what a test will ask for."""

from collections import Counter

import pytest

from manifests.demo.clips import HELD_OUT, demo_clips
from manifests.synthesis.texts import PATTERN, draw_line, draw_test_line, is_reserved, words_of
from warehouse.errors import ConfigurationError


def test_a_line_depends_on_seed_voice_and_index_alone():
    line = draw_line(1, "af_sky", 700)
    assert line == draw_line(1, "af_sky", 700)
    others = {draw_line(2, "af_sky", 700), draw_line(1, "am_puck", 700), draw_line(1, "af_sky", 702)}
    assert line not in others
    assert len(others) == 3


def test_twenty_lines_are_twelve_digit_strings_seven_sentences_and_a_general_one():
    lines = [draw_line(1, "af_sky", index) for index in range(40, 60)]
    assert Counter(line.kind for line in lines) == {"digits": 12, "sentence": 7, "general": 1}
    assert [line.kind for line in lines] == list(PATTERN)


def test_digit_strings_have_two_to_eight_digits_and_every_digit_everywhere():
    strings = [line.text.split() for i in range(4000) if (line := draw_line(1, "af_sky", i)).kind == "digits"]
    lengths = Counter(map(len, strings))
    assert sorted(lengths) == [2, 3, 4, 5, 6, 7, 8]
    assert min(lengths.values()) > 0.05 * len(strings)
    for place in (0, 1, -1):
        shares = Counter(string[place] for string in strings)
        assert len(shares) == 10
        assert min(shares.values()) > 0.07 * len(strings)


def test_sentences_use_the_vocabulary_of_the_demo_corpus():
    known = {word for clip in demo_clips() if clip.kind == "sentence" for word in words_of(clip.text).split()}
    lines = [line for i in range(2000) if (line := draw_line(1, "af_sky", i)).kind == "sentence"]
    used = {word for line in lines for word in line.text.split()}
    assert used <= known
    assert len(used) > 80
    assert len({line.text for line in lines}) > 0.8 * len(lines)


def test_no_training_line_of_any_seed_is_a_test_line():
    training = {words_of(draw_line(seed, "af_sky", i).text) for seed in (1, 2) for i in range(2000)}
    test = {
        draw_test_line(seed, voice, i).text for seed in (1, 7) for voice in ("am_adam", "bf_lily") for i in range(50)
    }
    assert len(test) > 100
    assert not training & test
    assert all(map(is_reserved, test))
    assert not any(map(is_reserved, training))


def test_a_text_is_reserved_however_it_is_written():
    text = draw_test_line(1, "am_adam", 0).text
    assert is_reserved(f"  {text.upper()}!")
    assert words_of("Seven, three - five.") == "seven three five"


def test_one_text_in_twenty_is_reserved():
    digits = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    texts = [f"{a} {b} {c}" for a in digits for b in digits for c in digits]
    assert 0.03 < sum(map(is_reserved, texts)) / len(texts) < 0.07


def test_texts_that_were_spoken_elsewhere_are_left_out():
    before = {draw_line(1, "af_sky", index).text for index in range(100)}
    after = {draw_line(1, "af_sky", index, excluded=before).text for index in range(100)}
    assert before.isdisjoint({words_of(text) for text in after})


def test_the_commas_of_long_strings_are_in_the_prompt_and_not_in_the_text():
    lines = [line for i in range(500) if (line := draw_line(1, "af_sky", i)).kind == "digits"]
    grouped = [line for line in lines if "," in line.prompt]
    assert len(grouped) > 20
    assert all(len(line.text.split()) >= 5 and "," not in line.text for line in grouped)
    assert all(words_of(line.prompt) == line.text for line in lines)


def test_texts_that_run_out_are_one_sentence():
    class Everything(set):
        def __contains__(self, _):
            return True

    with pytest.raises(ConfigurationError, match="avoid fewer texts"):
        draw_line(1, "af_sky", 0, excluded=Everything())


def test_the_demo_corpus_has_texts_of_both_splits_to_keep_apart():
    assert {clip.split for clip in demo_clips()} == {"main", HELD_OUT}
