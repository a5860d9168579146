"""Convert values of any JSON type to the type of a column, where the meaning is certain."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from warehouse.rows import Span

T = TypeVar("T")

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
# Levels of nesting that are read; deeper JSON would exhaust the stack of whoever reads the table.
_DEEPEST = 100


def clean(value: Any, depth: int = 0) -> Any:
    """Return `value` as strict JSON: NaN and infinity become null, lone surrogates a question mark.

    Raises ValueError for values that are nested more than 100 levels deep.
    """
    if depth > _DEEPEST:
        raise ValueError(f"nested more than {_DEEPEST} levels deep")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {clean(str(key)): clean(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [clean(item, depth + 1) for item in value]
    return value


def _single(value: Any) -> Any:
    """Return the only item of a list of one, else the value itself."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def text_of(value: Any) -> str | None:
    """Return a non-empty string without surrounding space; a number as it is written; None for anything else."""
    value = _single(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value) if math.isfinite(_to_float(value)) else None
    return (clean(value).strip() or None) if isinstance(value, str) else None


def label_of(value: Any) -> str | None:
    """Return a label; one that was written as a number has no decimals where these are zero."""
    value = _single(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return text_of(value)


def number_of(value: Any) -> float | None:
    """Return a finite number, also from its decimal notation as text; None for anything else."""
    value = _single(value)
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    number = _to_float(value)
    return number if math.isfinite(number) else None


def _to_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # A whole number of more than 308 digits.
        return math.inf


def spans_of(value: Any, duration: float | None) -> list[Span] | None:
    """Return spans from a list of `[start, end]` in seconds, cut off at `duration`; None if it is no such list.

    Spans outside of the audio or without length are left out.
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


class MetadataValues:
    """The values of a JSON object, read key by key; `rest` and `faults` list what fits no column."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._converted: set[str] = set()
        self.faults: list[str] = []

    def get_raw(self, key: str) -> Any:
        """Return the value of `key` as it is, or None."""
        return self._values.get(key)

    def get(
        self, key: str, convert: Callable[[Any], T | None], *, is_exact: Callable[[T], bool] | None = None
    ) -> T | None:
        """Return the converted value of `key`, or None.

        The raw value stays in `rest` when it cannot be converted, or when `is_exact` is false for the result.
        """
        raw = self._values.get(key)
        converted = convert(raw)
        if converted is not None and (is_exact is None or is_exact(converted)):
            self._converted.add(key)
        if converted is None and raw not in (None, "", []):
            self.faults.append(f"{key} was not understood")
        return converted

    @property
    def rest(self) -> dict[str, Any]:
        """Every key that is in no column, with its raw value."""
        return {key: value for key, value in self._values.items() if key not in self._converted}
