"""Phonemize all six languages: haqumei for Japanese, pypinyin for Mandarin, espeak-ng for the others."""

import threading
from collections.abc import Sequence

from valle.phonemes.espeak import EspeakPhonemizer, espeak_revision
from valle.phonemes.japanese import JapanesePhonemizer, japanese_revision
from valle.phonemes.mandarin import MandarinPhonemizer, mandarin_revision
from valle.phonemes.text import LANGUAGES, normalise, pictures
from warehouse.errors import unknown_name

_JAPANESE, _MANDARIN = "ja", "zh"


class LanguagePhonemizer:
    """Pass each language to its frontend; each is opened on first use."""

    def __init__(self) -> None:
        self._espeak = EspeakPhonemizer()
        self._japanese = JapanesePhonemizer()
        self._mandarin = MandarinPhonemizer(lambda words: self._espeak.phonemize([words], "en")[0])
        self._lock = threading.Lock()

    def phonemize(self, texts: Sequence[str], language: str) -> list[list[str]]:
        """Return the symbols of each text in `language` (ISO 639-1).

        A character without a reading (an emoji, an unknown kanji) stays in the symbols, so that the phoneme table
        reports it as unknown. Raise ConfigurationError for an unknown language, DependencyError when its frontend is
        not installed.
        """
        if language not in LANGUAGES:
            raise unknown_name("language", language, LANGUAGES)
        # Before anything looks for characters without a reading: ℃ is short for °C.
        texts = [normalise(text) for text in texts]
        unread = [pictures(text) for text in texts]
        readable = [
            "".join(character for character in text if character not in found)
            for text, found in zip(texts, unread, strict=True)
        ]
        if language == _JAPANESE:
            with self._lock:
                spoken = self._japanese.phonemize(readable)
        elif language == _MANDARIN:
            spoken = self._mandarin.phonemize(readable)
        else:
            spoken = self._espeak.phonemize(readable, language)
        return [symbols + found for symbols, found in zip(spoken, unread, strict=True)]


def frontends_revision(language: str | None = None) -> str:
    """Return the versions of the frontend of `language`, or of all; raise DependencyError for a missing one."""
    if language == _JAPANESE:
        return japanese_revision()
    if language == _MANDARIN:
        return f"{mandarin_revision()}+{espeak_revision()}"
    return espeak_revision() if language else "+".join((espeak_revision(), japanese_revision(), mandarin_revision()))
