"""Detect the language of a text, among those that have a phonemizer."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from valle.phonemes.text import LANGUAGES
from warehouse.errors import ConfigurationError, DependencyError

AUTO = "auto"
"""In place of a language: that of the text is detected."""
SURE = 0.6
"""A lower probability is a guess: short words exist in several languages."""


@dataclass(frozen=True, slots=True)
class DetectedLanguage:
    """An ISO 639-1 code and its probability among the supported languages."""

    language: str
    probability: float

    @property
    def is_sure(self) -> bool:
        """Return whether the text was long enough to tell."""
        return self.probability >= SURE


def resolve_language(language: str, text: str, familiar: Sequence[str] = ()) -> DetectedLanguage:
    """Return a language as it is, or for `auto` that of a text. Raises ConfigurationError for `auto` without a text."""
    if language != AUTO:
        return DetectedLanguage(language, 1.0)
    if not text.strip():
        raise ConfigurationError("--language auto detects the language of a text, and there is none; name a language.")
    return detect_language(text, familiar)


def detect_language(text: str, familiar: Sequence[str] = ()) -> DetectedLanguage:
    """Return the likeliest supported language of a text, by py3langid (Lui and Baldwin, ACL 2012).

    Of a text that is too short to be sure, such as a number, it is the likeliest of the `familiar` ones that are
    supported. Raises DependencyError where the library is not installed.
    """
    # Sorted by probability.
    found = [DetectedLanguage(str(language), float(p)) for language, p in _identifier().rank(text)]
    return found[0] if found[0].is_sure else next((one for one in found if one.language in familiar), found[0])


@cache
def _identifier() -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError as error:
        raise DependencyError("--language auto needs py3langid: pip install py3langid==0.4.0.") from error
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(list(LANGUAGES))
    return identifier
