"""Written forms in words: numbers, money, dates, abbreviations and signs as they are read aloud, per language."""

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
    """Return normalised `text` with everything in words that the phonemizer of `language` reads otherwise."""
    return _LANGUAGES[language](text)
