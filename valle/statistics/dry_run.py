"""Forecast a run without writing: rows, time and bytes of every stage with given options, and the reason.

The options are active in the views of one connection only, so rows that exist under them are counted exactly. Rows
that earlier stages have still to make are estimated from their yields so far, time and bytes from the reports of the
lake.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from valle.stages.base import Stage
from valle.stages.ingest import Unread
from valle.stages.runner import Job, configuration_row, described_options
from warehouse.catalogue.display import format_size, format_time
from warehouse.catalogue.planning import plan_stage, set_hypothetical_configurations
from warehouse.catalogue.rates import Yield, measured_size, measured_speed, measured_yield
from warehouse.catalogue.views import connect
from warehouse.lake.tables import Lake

# The stage whose rows an input view shows.
_UPSTREAM = {"recordings": "ingest", "segments": "segment", "transcripts": "transcribe"}
# Assumed yields of stages that have never run in this lake.
_ASSUMED = {
    "ingest": (Yield(1 / 1_000_000, 3600 / 60_000_000), "an hour of audio in 60 MB of files"),
    "segment": (Yield(1 / 8, 1.0), "a segment for every 8 s of audio"),
    "transcribe": (Yield(1 / 8, 1.0), "no dropped transcripts"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StageForecast:
    """The forecast of one stage.

    `rows` and `audio_seconds` include what earlier stages have still to make, `rows_redone` are current rows that
    would no longer be; `work_seconds` (of one worker) and `size` (bytes) are None where nothing was measured yet.
    """

    stage: str
    rows_done: int
    rows: int
    rows_redone: int
    audio_seconds: float
    work_seconds: float | None
    size: float | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The forecasts of the stages on a corpus, in their order, and the assumptions."""

    corpus: str
    stages: tuple[StageForecast, ...]
    notes: tuple[str, ...]

    def table(self, *, width: int) -> pa.Table:
        """Return one row per stage and their sum; the time is that of `width` workers."""
        rows = [_cells(stage, width) for stage in self.stages]
        times = [stage.work_seconds for stage in self.stages if stage.work_seconds is not None]
        sizes = [stage.size for stage in self.stages if stage.size is not None]
        total = {
            "stage": "all",
            "time": format_time(sum(times) / width) if times else "?",
            "writes": format_size(sum(sizes)) if sizes else "?",
            "because": "",
        }
        return pa.Table.from_pylist([*rows, total], schema=_TABLE)


_TABLE = pa.schema(
    [
        ("stage", pa.string()),
        ("done", pa.int64()),
        ("to_do", pa.int64()),
        ("redone", pa.int64()),
        ("hours", pa.float64()),
        ("time", pa.string()),
        ("writes", pa.string()),
        ("because", pa.string()),
    ]
)


def forecast(stages: Sequence[Stage], corpus: str, lake: Lake, *, unread: Unread | None = None) -> Forecast:
    """Forecast `stages` on `corpus`; `unread` is what ingestion would read first, None leaves ingestion out."""
    with connect(lake.snapshot()) as connection:
        return _Forecaster(connection, corpus, lake).forecast(stages, unread)


def _cells(stage: StageForecast, width: int) -> dict[str, Any]:
    return {
        "stage": stage.stage,
        "done": stage.rows_done,
        "to_do": stage.rows,
        "redone": stage.rows_redone,
        "hours": round(stage.audio_seconds / 3600, 3),
        "time": "?" if stage.work_seconds is None else format_time(stage.work_seconds / width),
        "writes": "?" if stage.size is None else format_size(stage.size),
        "because": stage.reason,
    }


@dataclass(frozen=True, slots=True)
class _Amount:
    rows: float = 0.0
    audio_seconds: float = 0.0


# One connection for all stages: the views must show the rows of hypothetical options to the stages after them.
class _Forecaster:
    def __init__(self, connection: duckdb.DuckDBPyConnection, corpus: str, lake: Lake) -> None:
        self._connection = connection
        self._corpus = corpus
        self._lake = lake
        self._notes: list[str] = []

    def forecast(self, stages: Sequence[Stage], unread: Unread | None) -> Forecast:
        # Measured before the views change: under new options there may be nothing to measure.
        yields = {name: measured_yield(self._connection, name, self._corpus) for name in _ASSUMED}
        active = self._active_options()
        before = {stage.name: self._current_rows(stage) for stage in stages}
        rows_of_options = [configuration_row(Job(stage, self._corpus)) for stage in stages]
        set_hypothetical_configurations(self._connection, rows_of_options)
        done: list[StageForecast] = []
        made: dict[str, _Amount] = {}
        if unread is not None:
            done.append(self._ingest(unread, yields, made))
        changed: dict[str, str] = {}
        for stage in stages:
            upstream = _UPSTREAM[stage.reads]
            found = plan_stage(
                self._connection,
                stage.name,
                corpus=self._corpus,
                configuration=stage.configuration,
                tables=stage.tables,
            )
            arriving = made.get(upstream, _Amount())
            rows, seconds = found.rows + arriving.rows, found.audio_seconds + arriving.audio_seconds
            redone = max(0, before[stage.name] - self._current_rows(stage))
            reason = _reason(
                active.get((stage.name, stage.variant)), _options_as_json(stage), redone, rows, changed.get(upstream)
            )
            if redone:
                changed[stage.name] = stage.name
            if stage.name in _ASSUMED and seconds:
                made[stage.name] = self._yielded(stage.name, seconds, yields)
            done.append(self._stage(stage, found.rows_done, _Amount(rows, seconds), redone, reason))
        return Forecast(corpus=self._corpus, stages=tuple(done), notes=tuple(self._notes))

    def _ingest(self, unread: Unread, yields: Mapping[str, Yield | None], made: dict[str, _Amount]) -> StageForecast:
        if unread.size:
            made["ingest"] = self._yielded("ingest", unread.size, yields)
        seconds = made.get("ingest", _Amount()).audio_seconds
        speed = measured_speed(self._connection, "ingest", options="", corpus=self._corpus)
        size = measured_size(self._connection, "ingest", self._lake.stored_bytes("recordings"))
        return StageForecast(
            stage="ingest",
            rows_done=unread.sources_read,
            rows=unread.sources,
            rows_redone=0,
            audio_seconds=seconds,
            work_seconds=_work(seconds, speed.audio_rate if speed else None),
            size=0.0 if not seconds else None if size is None else size * seconds,
            reason="new or changed files" if unread.sources else "",
        )

    def _stage(self, stage: Stage, rows_done: int, todo: _Amount, redone: int, reason: str) -> StageForecast:
        options = json.dumps(stage.effective_options, default=str)
        speed = measured_speed(self._connection, stage.name, options=options, corpus=self._corpus)
        if speed is not None and not (speed.is_same_options and speed.is_same_corpus) and todo.rows:
            is_same = {"with other options": speed.is_same_options, "on another corpus": speed.is_same_corpus}
            difference = " and ".join(text for text, holds in is_same.items() if not holds)
            self._notes.append(f"The time of {stage.name} was measured {difference}.")
        size = measured_size(self._connection, stage.name, self._lake.stored_bytes(stage.tables.writes))
        return StageForecast(
            stage=stage.name,
            rows_done=rows_done,
            rows=round(todo.rows),
            rows_redone=redone,
            audio_seconds=todo.audio_seconds,
            work_seconds=_work(todo.audio_seconds, speed.audio_rate if speed else None),
            size=0.0 if not todo.audio_seconds else None if size is None else size * todo.audio_seconds,
            reason=reason,
        )

    def _yielded(self, stage: str, amount: float, yields: Mapping[str, Yield | None]) -> _Amount:
        measured = yields[stage]
        if measured is None:
            measured, assumption = _ASSUMED[stage]
            self._notes.append(f"{stage} has never run in this lake; assumed {assumption}.")
        return _Amount(amount * measured.rows, amount * measured.audio_seconds)

    def _active_options(self) -> dict[tuple[str, str | None], dict[str, Any]]:
        rows = self._connection.execute(
            "SELECT stage, variant, options FROM active_configurations WHERE corpus = ?", [self._corpus]
        ).fetchall()
        return {(stage, variant): json.loads(options) for stage, variant, options in rows}

    def _current_rows(self, stage: Stage) -> int:
        table = stage.tables.writes
        found = self._connection.execute(f"SELECT count(*) FROM current_{table} WHERE corpus = ?", [self._corpus])
        return int((found.fetchone() or (0,))[0])


def _options_as_json(stage: Stage) -> dict[str, Any]:
    """Return the options of a stage as they are read back from the lake, to be compared with those."""
    options: dict[str, Any] = json.loads(json.dumps(described_options(stage), default=str))
    return options


def _work(audio_seconds: float, rate: float | None) -> float | None:
    if not audio_seconds:
        return 0.0
    return None if rate is None else audio_seconds / rate


def _reason(
    before: Mapping[str, Any] | None, after: Mapping[str, Any], redone: int, rows: float, upstream: str | None
) -> str:
    if before is None:
        return "it has never run here" if rows else ""
    names = sorted(set(before) | set(after))
    changes = [f"{n} {before.get(n)!r} -> {after.get(n)!r}" for n in names if before.get(n) != after.get(n)]
    if changes:
        return "changed: " + ", ".join(changes)
    if redone:
        return f"{upstream} is redone" if upstream else "its input changed"
    return "new rows" if rows else ""
