"""Verbalise written forms per language: numbers, money, dates, abbreviations and signs in words."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from valle.phonemes.written import english, french, german, japanese, korean, mandarin

_LANGUAGES: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {
        "en": english.verbalise,
        "de": german.verbalise,
        "fr": french.verbalise,
        "ja": japanese.verbalise,
        "ko": korean.verbalise,
        "zh": mandarin.verbalise,
    }
)


def verbalise(text: str, language: str) -> str:
    """Verbalise the written forms of normalised `text` that the frontend of `language` misreads."""
    return _LANGUAGES[language](text)
