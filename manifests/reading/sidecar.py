"""Reading what lies beside the audio: JSON and text files of any quality become clean values and a list of faults."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from warehouse.rows import Span

_LANGUAGES = {
    "arabic": "ar",
    "chinese": "zh",
    "dutch": "nl",
    "english": "en",
    "french": "fr",
    "german": "de",
    "italian": "it",
    "japanese": "ja",
    "korean": "ko",
    "polish": "pl",
    "portuguese": "pt",
    "russian": "ru",
    "spanish": "es",
}


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The values of a JSON object, and what was wrong with it (None when nothing was)."""

    values: Mapping[str, Any] = field(default_factory=dict)
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class TextFile:
    """The text of a file, or None with the fault; both None when there is no such file."""

    text: str | None = None
    fault: str | None = None


def parse_json(content: bytes) -> Sidecar:
    """The JSON object in `content`, cleaned (see `clean`); any other content is a fault."""
    try:
        values = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        return Sidecar(fault=f"sidecar is not JSON: {error}")
    if not isinstance(values, dict):
        return Sidecar(fault=f"sidecar holds a {type(values).__name__}, not an object")
    return Sidecar(clean(values))


def read_json(path: str) -> Sidecar:
    """The JSON object in a file; a missing file is a fault."""
    try:
        return parse_json(Path(path).read_bytes())
    except FileNotFoundError:
        return Sidecar(fault="no sidecar")
    except OSError as error:
        return Sidecar(fault=f"sidecar cannot be read: {error.strerror}")


def read_text(path: str) -> TextFile:
    """The text in a UTF-8 file without surrounding space; None where there is none."""
    try:
        return TextFile(text_of(Path(path).read_bytes().decode("utf-8-sig")))
    except FileNotFoundError:
        return TextFile()
    except UnicodeDecodeError as error:
        return TextFile(fault=f"text is not UTF-8: {error}")
    except OSError as error:
        return TextFile(fault=f"text cannot be read: {error.strerror}")


def clean(value: Any) -> Any:
    """`value` as strict JSON can hold it: NaN and infinity become null, lone surrogates a question mark."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {clean(str(key)): clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clean(item) for item in value]
    return value


def text_of(value: Any) -> str | None:
    """A non-empty string without surrounding space, or None."""
    return (clean(value).strip() or None) if isinstance(value, str) else None


def label_of(value: Any) -> str | None:
    """A label that may have been written as a number, or None."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else text_of(value)


def number_of(value: Any) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def language_of(value: Any) -> str | None:
    """The ISO 639-1 code of a language given by name, code or locale, or None when it is not known."""
    name = (text_of(value) or "").lower()
    code = _LANGUAGES.get(name, name.replace("_", "-").split("-")[0])
    return code if len(code) == 2 and code.isalpha() else None


def spans_of(value: Any, duration: float | None) -> list[Span] | None:
    """Spans from a list of `[start, end]` in seconds, cut off at `duration`; None if it is no such list.

    Spans that lie outside of the audio or have no length are left out.
    """
    if not isinstance(value, list):
        return None
    spans = []
    for pair in value:
        ends = [number_of(end) for end in pair] if isinstance(pair, list) else []
        if len(ends) != 2 or ends[0] is None or ends[1] is None:
            return None
        start, end = max(0.0, ends[0]), ends[1] if duration is None else min(ends[1], duration)
        if start < end:
            spans.append(Span(start=start, end=end))
    return spans
