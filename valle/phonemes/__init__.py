"""Phonemes: text to IPA symbols by a phonemizer, and symbols to numbers by the one phoneme table."""

from collections.abc import Sequence
from typing import Protocol

from valle.phonemes.readers import LanguagePhonemizer, readers_revision
from valle.phonemes.symbols import SPACE
from valle.phonemes.table import PhonemeTable, phoneme_table
from valle.phonemes.text import LANGUAGES, normalise, wrong_script
from warehouse.errors import ConfigurationError

__all__ = [
    "LANGUAGES",
    "SPACE",
    "PhonemeTable",
    "Phonemizer",
    "normalise",
    "open_phonemizer",
    "phoneme_table",
    "phonemizer_revision",
    "wrong_script",
]


class Phonemizer(Protocol):
    """Converts texts to phonemes."""

    def phonemize(self, texts: Sequence[str], language: str) -> list[list[str]]:
        """IPA symbols, spaces between words and punctuation of each text, in order."""


def _check_name(name: str) -> None:
    if name != "espeak":
        raise ConfigurationError(f"there is no phonemizer called {name!r}: use `espeak`.")


def open_phonemizer(name: str) -> Phonemizer:
    """The phonemizer called `name`; its languages are opened on first use.

    `espeak` is espeak-ng for every language but Japanese, which haqumei reads.
    """
    _check_name(name)
    return LanguagePhonemizer()


def phonemizer_revision(name: str, language: str | None = None) -> str:
    """Names and versions of what reads `language`, or any of the languages, without loading anything."""
    _check_name(name)
    return readers_revision(language)
