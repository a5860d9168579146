"""Recognise languages that a corpus declares by code, by locale or by name.

Names and codes come from the Unicode CLDR, through Babel.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from typing import Any

from babel import Locale
from babel.core import UnknownLocaleError, get_global

from manifests.reading.values import MetadataValues, text_of

UNDETERMINED = "und"
"""The code (ISO 639-2) of a language that is declared and cannot be recognised."""

_ALIASES = {
    # Country codes that corpora write for the language; `kr` is also Kanuri, whose other code is `kau`.
    "cn": "zh",
    "jp": "ja",
    "kr": "ko",
    "mandarin": "zh",
    "mandarin chinese": "zh",
}
_REST_OF_LOCALE = re.compile(r"\s*[-_(,;/].*$", re.DOTALL)
_LONGEST = 64


def language_of(value: Any) -> str | None:
    """Return the code of a language given by name, code or locale: ISO 639-1, or ISO 639-3 where that has none.

    None when no language is given; `und` when one is given that cannot be recognised, so that no stage mistakes it
    for the default language.
    """
    name = text_of(value)
    if name is None:
        return UNDETERMINED if value not in (None, "", []) and not _is_blank(value) else None
    if len(name) > _LONGEST:
        return UNDETERMINED
    whole = _fold(name)
    return _code_of(whole) or _code_of(_REST_OF_LOCALE.sub("", whole)) or UNDETERMINED


def read_language(values: MetadataValues, key: str) -> str | None:
    """Return the language code of `key`; an unknown name, and a locale with its region, also stay in `values.rest`."""
    raw = _fold(text_of(values.get_raw(key)) or "")
    code = values.get(key, language_of, is_exact=lambda code: code != UNDETERMINED and not _REST_OF_LOCALE.search(raw))
    if code == UNDETERMINED:
        values.faults.append(f"{key} was not understood")
    return code


def _is_blank(value: Any) -> bool:
    return isinstance(value, str) and not value.strip()


def _code_of(name: str) -> str | None:
    alias = _ALIASES.get(name) or get_global("language_aliases").get(name)
    if alias is not None:
        return alias.split("_")[0]
    if name in _english().values():
        return name
    return _english().get(name) or _endonyms().get(name)


@cache
def _english() -> Mapping[str, str]:
    """Return name in English -> code, for every language of the CLDR."""
    names = {_fold(name): code.split("_")[0] for code, name in Locale("en").languages.items()}
    return {name: code for name, code in names.items() if code not in ("mul", "und", "zxx")}


@cache
def _endonyms() -> Mapping[str, str]:
    """Return name in the language itself -> code, for the languages that have an ISO 639-1 code."""
    found = {}
    for code in sorted(set(_english().values())):
        if len(code) == 2:
            try:
                name = Locale.parse(code).get_language_name()
            except (UnknownLocaleError, ValueError):  # The CLDR names the language and has no data in it.
                continue
            found[_fold(name or code)] = code
    return found


def _fold(name: str) -> str:
    """Return `name` without case, accents and surrounding space."""
    decomposed = unicodedata.normalize("NFKD", name.strip().casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
