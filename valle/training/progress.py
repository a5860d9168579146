"""The position of a run while it trains, and its end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from valle.data.cursor import Cursor


@dataclass(frozen=True, slots=True)
class TrainResult:
    """The end of a run. `reason` is `finished`, `time`, `quit` or `signal`."""

    run_id: str
    step: int
    checkpoint: Path
    reason: str
    seconds: float
    metrics: Mapping[str, Any]


@dataclass(slots=True)
class RunProgress:
    """The position of a run, which the loop advances."""

    step: int = 0
    cursor: Cursor = field(default_factory=Cursor)
    seconds: float = 0.0  # of earlier processes of the run and this one
    tokens: int = 0  # slots trained on by all ranks
    last_saved: int | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
