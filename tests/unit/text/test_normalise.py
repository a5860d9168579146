import json
import random
import string
from pathlib import Path

import pytest

from valle.text.errors import count_word_errors
from valle.text.normalise import default_normaliser, get_normaliser, normalisers
from valle.text.numbers import spell_numbers
from valle.text.spoken_numbers import cardinal, verbalise_numbers
from warehouse.errors import ConfigurationError

GOLDEN = [
    json.loads(line)
    for line in Path(__file__).with_name("golden_normalised.jsonl").read_text(encoding="utf-8").splitlines()
]


@pytest.mark.parametrize("name", sorted(normalisers()))
def test_each_normaliser_gives_the_golden_strings(name):
    if name == "whisper-en":
        pytest.importorskip("whisper_normalizer")
    normalise = get_normaliser(name)
    for golden in GOLDEN:
        assert normalise(golden["text"], golden["language"]) == golden[name], golden["text"]


def test_there_are_more_than_two_hundred_golden_strings_and_thirty_of_each():
    assert len(GOLDEN) * len(normalisers()) > 200
    for name in normalisers():
        assert sum(golden[name] != golden["text"] for golden in GOLDEN) >= 30, name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1999", "nineteen ninety nine"),
        ("1905", "nineteen oh five"),
        ("1900", "nineteen hundred"),
        ("2007", "two thousand seven"),
        ("2024", "twenty twenty four"),
        ("1,999", "one thousand nine hundred ninety nine"),
        ("in the 1960s and 90s", "in the nineteen sixties and nineties"),
        ("100th, 12th, 20th, 43rd", "one hundredth, twelfth, twentieth, forty third"),
        ("$1", "one dollar"),
        ("$3 million", "three million dollars"),
        ("£2.01", "two pounds one penny"),
        ("€2.50", "two euros fifty cents"),
        ("0.05", "zero point zero five"),
        ("9" * 16, " ".join(["nine"] * 16)),
    ],
)
def test_written_numbers_are_said_as_a_reader_says_them(text, said):
    assert " ".join(verbalise_numbers(text).split()) == said.strip()


@pytest.mark.parametrize("value", [*range(120), 999, 1000, 1001, 1066, 2500, 10_000, 99_999, 1_000_001])
def test_numbers_in_words_are_read_back_as_their_digits(value):
    assert spell_numbers(cardinal(value)) == spell_numbers(str(value))


def seed_tts_eval(text, kept):
    """The published scorer's steps, mark by mark."""
    for mark in string.punctuation + "＂＃＇，。！？、「」“”‘’–—…·":
        if mark not in kept:
            text = text.replace(mark, "")
    return text.replace("  ", " ").lower()


@pytest.mark.parametrize(("name", "kept"), [("seed", "'"), ("f5", "")])
def test_seed_and_f5_equal_the_published_steps_on_random_text(name, kept):
    generator = random.Random(0)
    alphabet = "abC 'é,.-   “”’—…！。" + string.punctuation
    for _ in range(300):
        text = "".join(generator.choices(alphabet, k=30))
        assert get_normaliser(name)(text) == seed_tts_eval(text, kept)


def test_three_spaces_leave_no_empty_word_behind_when_errors_are_counted():
    reference, hypothesis = get_normaliser("seed")("wait   here"), get_normaliser("seed")("wait here")
    assert reference != hypothesis
    assert count_word_errors(reference, hypothesis).errors == 0


def test_a_curly_apostrophe_is_an_error_under_seed_and_none_under_zip_ls():
    for name, errors in (("seed", 1), ("f5", 0), ("zip-ls", 0), ("valle-en", 0)):
        normalise = get_normaliser(name)
        assert count_word_errors(normalise("don't go"), normalise("don’t go")).errors == errors, name


def test_a_hyphen_joins_words_under_seed_and_parts_them_under_zip_ls():
    for name, words in (("seed", 1), ("f5", 1), ("zip-ls", 2), ("librispeech", 2), ("valle-en", 2)):
        assert len(get_normaliser(name)("well-known").split()) == words, name


@pytest.mark.parametrize(
    "same",
    [
        ("four seven two", "4 7 2", "472", "4, 7, 2.", "four hundred seventy-two", "four hundred and seventy two"),
        ("in nineteen ninety nine", "In 1999.", "in 19 99"),
        ("nineteen oh five", "1905", "nineteen hundred and five"),
        ("two thousand and twenty six", "2026", "twenty twenty-six", "2,026"),
        ("one million two hundred thousand and six", "1,200,006"),
        ("a hundred men", "one hundred men", "100 men"),
        ("the twenty first", "the 21st"),
        ("the eleventh hour", "the 11th hour"),
        ("the thirtieth of june", "the 30th of June"),
        ("double zero seven", "double 07"),
        ("five thousand", "5 thousand", "5,000"),
        ("fifty percent", "50%", "50 percent"),
        ("mister smith and missus jones", "Mr. Smith & Mrs. Jones"),
        ("naive cafe", "naïve café"),
        ("twelve million", "12 million", "12,000,000"),
    ],
)
def test_spoken_and_written_numbers_are_the_same_text_under_our_normaliser(same):
    assert len({get_normaliser("valle-en")(text) for text in same}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [("four seven two", "four seven three"), ("fifteen", "fifty"), ("2000", "200"), ("a hundred", "a thousand")],
)
def test_different_numbers_stay_different(one, other):
    assert get_normaliser("valle-en")(one) != get_normaliser("valle-en")(other)


@pytest.mark.parametrize("text", ["no one knows", "oh dear", "salt and pepper", "hundreds of men", "second thoughts"])
def test_words_that_are_no_numbers_survive(text):
    assert spell_numbers(text) == text


@pytest.mark.parametrize("value", [*range(130), 200, 305, 999, 1000, 1001, 1066, 2500, 10_000, 99_999, 1_000_001])
def test_every_spelled_number_equals_its_digits(value):
    assert spell_numbers(in_words(value)) == spell_numbers(str(value))


def in_words(value):
    """A number as a British reader would say it."""
    small = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
    small += ("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
    tens = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
    if value < 20:
        return small[value]
    if value < 100:
        return tens[value // 10 - 2] + (f" {small[value % 10]}" if value % 10 else "")
    for size, name in ((1_000_000, "million"), (1000, "thousand"), (100, "hundred")):
        if value >= size:
            rest = value % size
            joint = " and " if 0 < rest < 100 else " "
            return f"{in_words(value // size)} {name}" + (f"{joint}{in_words(rest)}" if rest else "")
    raise AssertionError(value)


def test_normalising_twice_changes_nothing():
    for name in ("valle-en", "zip-ls", "f5", "librispeech", "nemo-hubert"):
        normalise = get_normaliser(name)
        for golden in GOLDEN:
            if golden["language"] == "en" and "   " not in golden["text"]:
                assert normalise(golden[name]) == golden[name]


def test_an_unknown_normaliser_is_one_sentence_with_the_known_ones():
    with pytest.raises(ConfigurationError, match="choose one of valle-en, zip-ls, seed, f5"):
        get_normaliser("whisper")


def test_our_normaliser_depends_on_the_language():
    assert default_normaliser("en") == "valle-en"
    assert get_normaliser(default_normaliser("zh"))("你好，世界！", "zh") == "你 好 世 界"


def test_a_label_holds_name_and_version():
    assert get_normaliser().label == "valle-en/1"
