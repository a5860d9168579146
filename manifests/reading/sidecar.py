"""Read JSON and text files beside the audio: files of any quality become clean values and a list of faults."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from manifests.reading.regular import read_limited
from manifests.reading.values import clean, text_of

MAX_BYTES = 16 << 20
"""Bytes of a sidecar; more is not the metadata of a recording."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The values of a JSON object, and the reason when it has none."""

    values: Mapping[str, Any] = field(default_factory=dict)
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class TextFile:
    """The text of a file, or None with the reason; both None when there is no such file."""

    text: str | None = None
    fault: str | None = None


def parse_json(content: bytes) -> Sidecar:
    """Return the JSON object in `content`, cleaned (see `values.clean`); any other content is a fault."""
    if len(content) > MAX_BYTES:
        return Sidecar(fault=f"sidecar is larger than {MAX_BYTES} bytes")
    try:
        values = clean(json.loads(content.decode("utf-8-sig")))
    except RecursionError:
        return Sidecar(fault="sidecar is not JSON that can be read: it is nested too deep")
    except ValueError as error:
        return Sidecar(fault=f"sidecar is not JSON: {error}")
    if not isinstance(values, dict):
        return Sidecar(fault=f"sidecar holds a {type(values).__name__}, not an object")
    return Sidecar(values)


def read_json(path: str) -> Sidecar:
    """Return the JSON object in a file; a missing file is a fault."""
    try:
        return parse_json(read_limited(path, MAX_BYTES))
    except FileNotFoundError:
        return Sidecar(fault="no sidecar")
    except OSError as error:
        return Sidecar(fault=f"sidecar cannot be read: {error.strerror}")


def read_text(path: str) -> TextFile:
    """Return the text of a UTF-8 file without surrounding space; None where there is none."""
    try:
        return TextFile(text_of(read_limited(path, MAX_BYTES).decode("utf-8-sig")))
    except FileNotFoundError:
        return TextFile()
    except UnicodeDecodeError as error:
        return TextFile(fault=f"text is not UTF-8: {error}")
    except OSError as error:
        return TextFile(fault=f"text cannot be read: {error.strerror}")
