"""Phonemize English, German, French and Korean with espeak-ng; punctuation is kept.

The library and its data come from the `espeakng-loader` wheel. The state of espeak-ng is in C globals, so a process has
one backend per language and one lock for all of them.
"""

import logging
import re
import threading
from collections.abc import Sequence
from typing import Any

from valle.phonemes.symbols import PUNCTUATION, split_symbols
from valle.phonemes.written import verbalise
from warehouse.errors import DependencyError
from warehouse.packages import version

VOICES = {"en": "en-us", "de": "de", "fr": "fr-fr", "ko": "ko"}
# A mark between two digits belongs to the number (3.5, 10,000, 12:30), which espeak reads as a whole.
_IN_NUMBERS = ",.:"
_ALWAYS = "".join(mark for mark in PUNCTUATION if mark not in _IN_NUMBERS)
_MARK = rf"[{re.escape(_ALWAYS)}]|(?<!\d)[{_IN_NUMBERS}]|[{_IN_NUMBERS}](?!\d)"
_MARKS = re.compile(rf"( ?(?:{_MARK})(?: ?(?:{_MARK}))* ?)")
# phonemizer gets clauses without marks and gives one line for each. When it restores marks by itself, it takes the
# point inside "3.14." for the mark at the end and loses the rest; a compiled pattern would also split at every space.
_NO_MARK = "\n"
_COMMAND = "pip install phonemizer espeakng-loader"


class EspeakPhonemizer:
    """espeak-ng through `phonemizer`, one backend per language, opened on first use."""

    def __init__(self) -> None:
        self._backends: dict[str, Any] = {}
        self._lock = threading.Lock()

    def _backend(self, language: str) -> Any:
        if language not in self._backends:
            self._backends[language] = open_backend(VOICES[language])
        return self._backends[language]

    def phonemize(self, texts: Sequence[str], language: str) -> list[list[str]]:
        """Return the symbols of each normalised text in `language`, one of `VOICES`."""
        from phonemizer.separator import Separator

        # Even indices hold clauses, odd ones the marks between them with their spaces.
        parts: list[list[str]] = [_MARKS.split(verbalise(text, language)) for text in texts]
        clauses = list(dict.fromkeys(clause for text in parts for clause in text[::2] if clause))
        with self._lock:
            backend = self._backend(language)
            lines = backend.phonemize(clauses, separator=Separator(phone="", syllable="", word=" "), strip=True)
        ipa = dict(zip(clauses, lines, strict=True))
        return [split_symbols("".join(ipa.get(part, part) for part in text)) for text in parts]


def open_backend(voice: str, *, is_plain: bool = False) -> Any:
    """Open espeak-ng for a voice; plain, it keeps punctuation and marks of a language switch by itself.

    Raises DependencyError when it is not installed.
    """
    try:
        import espeakng_loader
        from phonemizer.backend import EspeakBackend
        from phonemizer.backend.espeak.wrapper import EspeakWrapper
    except ImportError as error:
        raise DependencyError(f"espeak-ng is not installed: run `{_COMMAND}`.") from error
    EspeakWrapper.set_library(espeakng_loader.get_library_path())
    EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
    quiet = logging.getLogger("valle.phonemes.espeak.backend")
    quiet.setLevel(logging.ERROR)
    try:
        if is_plain:
            return EspeakBackend(voice, preserve_punctuation=True, with_stress=True, logger=quiet)
        return EspeakBackend(
            voice,
            punctuation_marks=_NO_MARK,
            preserve_punctuation=False,
            with_stress=True,
            language_switch="remove-flags",
            words_mismatch="ignore",
            logger=quiet,
        )
    except (RuntimeError, OSError) as error:
        raise DependencyError(f"espeak-ng cannot speak {voice} ({error}): run `{_COMMAND}`.") from error


def espeak_revision() -> str:
    """Return the versions of the packages phonemizer and espeakng-loader."""
    return f"espeak@{version('phonemizer')}+{version('espeakng-loader')}"
