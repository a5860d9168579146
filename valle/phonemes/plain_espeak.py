"""Phonemize as the program that trained imported weights: espeak-ng alone, on the text as it is.

Punctuation, hyphens and marks of a language switch stay in the symbols, since the weights were trained with them.
They were trained with espeak-ng 1.51; what 1.52 writes differently is put back (`older_espeak.py`). Japanese goes to
espeak-ng in hiragana: of pykakasi, which the weights were trained with, where it is installed.
"""

import threading
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

from valle.phonemes.espeak import espeak_revision, open_backend
from valle.phonemes.japanese import KanaReader, japanese_revision
from valle.phonemes.older_espeak import EspeakLetters, prepare, restore_english, restore_german, restore_mandarin
from warehouse.errors import ConfigurationError
from warehouse.packages import version

VOICES: Mapping[str, str] = MappingProxyType(
    {"en": "en-us", "ja": "ja", "de": "de", "fr": "fr-fr", "zh": "cmn-latn-pinyin", "ko": "ko"}
)


class PykakasiReader:
    """The reading of Japanese in hiragana by pykakasi, mistakes included: the weights learnt them."""

    def __init__(self) -> None:
        from pykakasi import kakasi

        self._reader = kakasi()

    def read(self, text: str) -> str:
        """Return the reading of a text; marks stay as they are."""
        return "".join(word["hira"] for word in self._reader.convert(text))


def open_kana_reader() -> KanaReader | PykakasiReader:
    """Return pykakasi where it is installed, or else the reader of our own Japanese."""
    try:
        return PykakasiReader()
    except ImportError:
        return KanaReader()


def plain_revision(language: str | None = None) -> str:
    """Return names and versions of what phonemizes `language`, or any language without one; open nothing."""
    readers = ""
    if language in ("ja", None):
        readers = f"+pykakasi@{version('pykakasi')}" if find_spec("pykakasi") else f"+{japanese_revision()}"
    return f"plain-1.51-{espeak_revision()}{readers}"


class PlainEspeakPhonemizer:
    """espeak-ng through `phonemizer`, one backend per language, opened on first use."""

    def __init__(self) -> None:
        self._backends: dict[str, Any] = {}
        self._kana: KanaReader | PykakasiReader | None = None
        self._letters: EspeakLetters | None = None
        self._lock = threading.Lock()

    def phonemize(self, texts: Sequence[str], language: str) -> list[list[str]]:
        """Return the characters of the phonemes of each text. Raises ConfigurationError for an unknown language."""
        if language not in VOICES:
            raise ConfigurationError(f"no phonemes for the language {language!r}: use one of {', '.join(VOICES)}.")
        with self._lock:
            given = self._read_kana(texts) if language == "ja" else [prepare(text, language) for text in texts]
            if language not in self._backends:
                self._backends[language] = open_backend(VOICES[language], is_plain=True)
            lines: list[str] = self._backends[language].phonemize(given, strip=True)
            return [list(self._restore(line, text, language)) for line, text in zip(lines, texts, strict=True)]

    def _read_kana(self, texts: Sequence[str]) -> list[str]:
        self._kana = self._kana or open_kana_reader()
        return [self._kana.read(text) for text in texts]

    def _restore(self, line: str, text: str, language: str) -> str:
        """Return phonemes as espeak-ng 1.51 wrote them."""
        match language:
            case "zh":
                return restore_mandarin(line)
            case "de":
                return restore_german(line)
            case "en":
                return restore_english(line, self._english_letters(text))
            case _:
                return line

    def _english_letters(self, text: str) -> str:
        if self._letters is None:
            import espeakng_loader

            self._letters = EspeakLetters(espeakng_loader.get_library_path(), espeakng_loader.get_data_path())
        return self._letters.of(text)
