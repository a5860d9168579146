"""Written forms become words.

`written/LANGUAGE.tsv` holds forms and the readings that are right; `written/sentences.tsv` holds texts in which a form
depends on what is around it, and what becomes of them, letter by letter.
"""

import re
import unicodedata
from pathlib import Path

import pytest
from num2words import num2words

from valle.phonemes import open_phonemizer, phoneme_table
from valle.phonemes.text import normalise
from valle.phonemes.written import verbalise

LANGUAGES = ("en", "de", "fr", "ja", "ko", "zh")
_COMMA_LANGUAGES = ("de", "fr")
_POINTS = {"en": "point", "de": "Komma", "fr": "virgule", "ko": "점"}
_PERCENT = {"en": "percent", "de": "Prozent", "fr": "pour cent", "ko": "퍼센트"}


_TABLES = Path(__file__).parent / "written"


def _lines(name: str) -> list[list[str]]:
    return [line.split("\t") for line in (_TABLES / name).read_text(encoding="utf-8").splitlines()]


def _rows() -> list[tuple[str, str, list[str]]]:
    return [
        (language, written, spoken.split("|"))
        for language in LANGUAGES
        for written, spoken in _lines(f"{language}.tsv")
    ]


def _number_in_words(match: re.Match[str], language: str) -> str:
    """Return the words of a number that `verbalise` leaves to espeak-ng."""
    groups, point = (" .", ",") if language in _COMMA_LANGUAGES else (",", ".")
    whole, _, part = match[0].partition(point)
    whole = "".join(digit for digit in whole if digit not in groups)
    numbers = list(whole) if whole[0] == "0" else [whole]
    words = " ".join(num2words(int(number), lang=language) for number in numbers)
    if language == "en":
        words = words.replace(" and ", " ")
    if part:
        words += f" {_POINTS[language]} " + " ".join(num2words(int(digit), lang=language) for digit in part)
    return f" {words} "


def _in_words(text: str, language: str) -> str:
    words = verbalise(normalise(text), language)
    if language in _PERCENT:
        words = words.replace("%", f" {_PERCENT[language]} ")
        words = re.sub(r"(\d+)(?:st|nd|rd|th)\b", lambda m: num2words(int(m[1]), to="ordinal"), words)
        groups, point = ("[ .]", ",") if language in _COMMA_LANGUAGES else (",", r"\.")
        number = rf"\d{{1,3}}(?:{groups}\d{{3}})+(?:{point}\d+)?|\d+(?:{point}\d+)?"
        words = re.sub(number, lambda m: _number_in_words(m, language), words)
    return _letters(words)


def _letters(text: str) -> str:
    return "".join(character for character in unicodedata.normalize("NFKC", text).lower() if character.isalnum())


def _japanese_sounds(text: str) -> str:
    """Phonemes without phrase borders, where the moraic nasal sounds otherwise inside a word."""
    (symbols,) = open_phonemizer("espeak").phonemize([text], "ja")
    return "".join("ɴ" if symbol in "nmŋ" else symbol for symbol in symbols if symbol not in " ,.")


@pytest.mark.parametrize(("language", "written", "readings"), _rows())
def test_a_written_form_is_read_as_its_words(language: str, written: str, readings: list[str]):
    if language == "ja":
        assert _japanese_sounds(written) in [_japanese_sounds(reading) for reading in readings]
    else:
        assert _in_words(written, language) in [_letters(reading) for reading in readings]


@pytest.mark.parametrize(("language", "text", "words"), _lines("sentences.tsv"))
def test_a_form_is_read_by_its_context(language: str, text: str, words: str):
    assert verbalise(normalise(text), language) == words


def test_an_ordinal_and_a_count_are_read_as_their_words():
    reader = open_phonemizer("espeak")
    assert reader.phonemize(["am 3. Mai"], "de") == reader.phonemize(["am dritten Mai"], "de")
    assert reader.phonemize(["3개"], "ko") == reader.phonemize(["세 개"], "ko")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "piece", ["1", "1,", "1 ", "1-", "1/", "1:", "$1 ", "I ", "J. ", "a.", "a@", "3. ", " ", "-", "St. "]
)
def test_a_hundred_thousand_characters_of_one_piece_are_rewritten(language: str, piece: str):
    # A pattern that looks for its end from every place would need minutes for one of these.
    text = (piece * 100_000)[:100_000]
    assert bool(verbalise(normalise(text), language)) == bool(text.strip())


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_table_has_forty_forms_and_no_symbol_is_unknown(language: str):
    forms = [written for of, written, _ in _rows() if of == language]
    assert len(forms) >= 40
    for symbols in open_phonemizer("espeak").phonemize(forms, language):
        assert phoneme_table().unknown(symbols) == []


@pytest.mark.parametrize("number", [0, 7, 13, 40, 100, 101, 234, 1000, 1001, 12_345, 110_000, 2_345_678])
def test_a_plain_number_is_read_as_its_words(number: int):
    espeak = open_phonemizer("espeak")
    words = num2words(number).replace(" and ", " ").replace(",", "").replace("-", " ")
    read = ["".join(s for s in espeak.phonemize([text], "en")[0] if s not in "ˈˌ ") for text in (f"{number:,}", words)]
    assert read[0] == read[1]
