"""Phonemize as the program that trained imported weights: espeak-ng alone, on the text as it is.

Punctuation, hyphens and marks of a language switch stay in the symbols, since the weights were trained with them.
They were trained with espeak-ng 1.51; what later versions write differently is put back where it is unambiguous: the
tones of Mandarin, which are digits now, and the German vowel of `fünf`. Japanese goes to espeak-ng in hiragana.
"""

import threading
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from valle.phonemes.espeak import open_backend
from valle.phonemes.japanese import KanaReader
from warehouse.errors import ConfigurationError

VOICES: Mapping[str, str] = MappingProxyType(
    {"en": "en-us", "ja": "ja", "de": "de", "fr": "fr-fr", "zh": "cmn-latn-pinyin", "ko": "ko"}
)
# Symbols of espeak-ng 1.52 as version 1.51 wrote them, by language.
_OLDER = {"zh": str.maketrans({"1": "ˇ", "2": "ˉ", "5": "_"}), "de": str.maketrans({"ʏ": "y"})}


class PlainEspeakPhonemizer:
    """espeak-ng through `phonemizer`, one backend per language, opened on first use."""

    def __init__(self) -> None:
        self._backends: dict[str, Any] = {}
        self._kana = KanaReader()
        self._lock = threading.Lock()

    def phonemize(self, texts: Sequence[str], language: str) -> list[list[str]]:
        """Return the characters of the phonemes of each text. Raises ConfigurationError for an unknown language."""
        if language not in VOICES:
            raise ConfigurationError(f"no phonemes for the language {language!r}: use one of {', '.join(VOICES)}.")
        with self._lock:
            given = [self._kana.read(text) for text in texts] if language == "ja" else [*texts]
            if language not in self._backends:
                self._backends[language] = open_backend(VOICES[language], is_plain=True)
            lines: list[str] = self._backends[language].phonemize(given, strip=True)
        return [list(line.translate(_OLDER.get(language, {}))) for line in lines]
