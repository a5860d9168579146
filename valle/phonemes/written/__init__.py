"""Written forms in words: what a reader says for numbers, money, dates, abbreviations and signs, per language."""

from collections.abc import Callable

from valle.phonemes.written import english


def verbalise(text: str, language: str) -> str:
    """Return normalised `text` with everything in words that the phonemizer of `language` reads otherwise."""
    return _LANGUAGES[language](text) if language in _LANGUAGES else text


_LANGUAGES: dict[str, Callable[[str], str]] = {"en": english.verbalise}
