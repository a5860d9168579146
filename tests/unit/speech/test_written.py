"""Written forms are read as the words of `written/LANGUAGE.tsv`: a form, and the readings that are right."""

import re
import unicodedata
from pathlib import Path

import pytest
from num2words import num2words

from valle.phonemes import open_phonemizer, phoneme_table
from valle.phonemes.text import normalise
from valle.phonemes.written import verbalise

LANGUAGES = ("en",)
_COMMA_LANGUAGES = ("de", "fr")
_POINTS = {"en": "point", "de": "Komma", "fr": "virgule", "ko": "점"}
_PERCENT = {"en": "percent", "de": "Prozent", "fr": "pour cent", "ko": "퍼센트"}


def _rows() -> list[tuple[str, str, list[str]]]:
    rows = []
    for language in LANGUAGES:
        text = (Path(__file__).parent / "written" / f"{language}.tsv").read_text(encoding="utf-8")
        for line in text.splitlines():
            written, spoken = line.split("\t")
            rows.append((language, written, spoken.split("|")))
    return rows


def _number_in_words(match: re.Match[str], language: str) -> str:
    """What espeak-ng makes of a number that `verbalise` leaves to it."""
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


@pytest.mark.parametrize(("language", "written", "readings"), _rows())
def test_a_written_form_is_read_as_its_words(language: str, written: str, readings: list[str]):
    assert _in_words(written, language) in [_letters(reading) for reading in readings]


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
