"""Cuts of a Lhotse CutSet as spans of recordings: what a training set or an evaluation takes of a curated list.

The lines are read as JSON: no audio is opened, and Lhotse is not imported.
"""

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warehouse.errors import ConfigurationError

_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CuratedCut:
    """A cut: the span of a recording, in seconds, and what its list declares about it; None where it declares nothing.

    `names` are ids that may be those of segments: of the cut, and of its supervision, which Lhotse keeps when it
    truncates a cut.
    """

    id: str
    names: tuple[str, ...]
    recording_id: str
    start: float
    duration: float
    text: str | None
    symbols: tuple[str, ...] | None
    split: str | None
    weight: float | None
    in_test: bool

    @property
    def end(self) -> float:
        """End of the span."""
        return self.start + self.duration


def read_cut_list(paths: Sequence[Path]) -> list[CuratedCut]:
    """Read `.jsonl` or `.jsonl.gz` files of cuts.

    Raises ConfigurationError for an unreadable file, and for cuts that have no codes: mixed, appended and padded ones,
    and those whose recording is changed (speed, volume, resampling), since the codes are of the original.
    """
    cuts = [(path, line) for path in paths for line in _lines(path)]
    changed = [_name(line) for _, line in cuts if _is_changed(line)]
    if changed:
        raise ConfigurationError(
            f"{named(changed)} mixed, padded, or changed in speed or volume, and have no codes of their own; leave "
            "them out: codes are those of the recording as it is."
        )
    try:
        return [_span(line) for _, line in cuts]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigurationError(f"The cuts in {paths[0]} are not those of Lhotse ({error!r}).") from error


def named(ids: Sequence[str]) -> str:
    """Return a count of cuts with the first of their ids, as the subject of a sentence in the plural."""
    listed = ", ".join(ids[:_NAMED])
    return f"{len(ids)} cuts ({listed}{', ...' if len(ids) > _NAMED else ''}) are"


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
            for line in file:
                if line.strip():
                    yield json.loads(line)
    except (OSError, EOFError, ValueError) as error:
        raise ConfigurationError(f"The cuts in {path} cannot be read ({error}); give a .jsonl or .jsonl.gz.") from error


def _name(line: Mapping[str, Any]) -> str:
    return str(line.get("id"))


def _is_changed(line: Mapping[str, Any]) -> bool:
    return line.get("type", "MonoCut") != "MonoCut" or bool((line.get("recording") or {}).get("transforms"))


def _span(line: Mapping[str, Any]) -> CuratedCut:
    supervisions = line.get("supervisions") or []
    only = supervisions[0] if len(supervisions) == 1 else {}
    declared, custom = only.get("custom") or {}, line.get("custom") or {}
    symbols, weight = declared.get("symbols"), declared.get("weight", custom.get("weight"))
    return CuratedCut(
        id=str(line["id"]),
        names=tuple(str(one["id"]) for one in (line, only) if "id" in one),
        recording_id=str(line["recording"]["id"]),
        start=float(line["start"]),
        duration=float(line["duration"]),
        text=only.get("text"),
        symbols=None if symbols is None else tuple(symbols),
        split=custom.get("split"),
        weight=None if weight is None else float(weight),
        in_test=bool(custom.get("in_test", False)),
    )
