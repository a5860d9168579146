"""The heading of a form below which most options of a training are; `flows.server.forms` puts them there."""

from collections.abc import Mapping
from typing import Any

FURTHER = "further"


def without_heading(given: Any) -> Any:
    """Return the options that a form sent as if it had no heading."""
    if not isinstance(given, Mapping) or FURTHER not in given:
        return given
    return {name: value for name, value in given.items() if name != FURTHER} | dict(given[FURTHER] or {})
