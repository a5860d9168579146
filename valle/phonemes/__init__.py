"""Phonemes: text to IPA symbols by a phonemizer, and symbols to numbers by the one phoneme table."""

from collections.abc import Sequence
from typing import Protocol

from valle.phonemes.espeak import EspeakPhonemizer, espeak_revision
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
    """Says how texts are pronounced."""

    def phonemize(self, texts: Sequence[str], language: str) -> list[list[str]]:
        """IPA symbols, spaces between words and punctuation of each text, in order."""


def _check_name(name: str) -> None:
    if name != "espeak":
        raise ConfigurationError(f"there is no phonemizer called {name!r}: use `espeak`.")


def open_phonemizer(name: str) -> Phonemizer:
    """The phonemizer called `name`; its languages are opened on first use."""
    _check_name(name)
    return EspeakPhonemizer()


def phonemizer_revision(name: str) -> str:
    """Name and versions, without loading anything."""
    _check_name(name)
    return espeak_revision()
