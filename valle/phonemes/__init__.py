"""Convert text to phonemes with a phonemizer, and phonemes to integers with the phoneme table."""

from collections.abc import Sequence
from typing import Protocol

from valle.phonemes.symbols import SPACE
from valle.phonemes.table import PhonemeTable, phoneme_table
from valle.phonemes.text import LANGUAGES, normalise, wrong_script
from warehouse.errors import unknown_name

__all__ = [
    "LANGUAGES",
    "PLAIN",
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
    """A converter of texts to phonemes."""

    def phonemize(self, texts: Sequence[str], language: str) -> list[list[str]]:
        """Return the IPA symbols of each text, with spaces between words and punctuation, in order."""


PLAIN = "espeak-plain"
"""The phonemizer of imported weights: espeak-ng alone, on the text as it is."""


def _check_name(name: str) -> None:
    if name not in ("espeak", PLAIN):
        raise unknown_name("phonemizer", name, ["espeak", PLAIN])


def open_phonemizer(name: str) -> Phonemizer:
    """Open the phonemizer `name`; the frontends of its languages are opened on first use.

    `espeak` is haqumei for Japanese, pypinyin for Mandarin and espeak-ng for the other languages; `espeak-plain` is
    espeak-ng alone, as imported weights were trained.
    """
    _check_name(name)
    # The names of languages and symbols are needed everywhere, the frontends only where text is phonemized.
    if name == PLAIN:
        from valle.phonemes.plain_espeak import PlainEspeakPhonemizer

        return PlainEspeakPhonemizer()
    from valle.phonemes.frontends import LanguagePhonemizer

    return LanguagePhonemizer()


def phonemizer_revision(name: str, language: str | None = None) -> str:
    """Return names and versions of the frontend of `language` (of all frontends without one); load no model."""
    _check_name(name)
    if name == PLAIN:
        from valle.phonemes.plain_espeak import plain_revision

        return plain_revision(language)
    from valle.phonemes.frontends import frontends_revision

    return frontends_revision(language)
