"""Report the outcome of one stage on one shard, and store it as a row of `shard_runs`."""

from __future__ import annotations

import json
import os
import socket
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from warehouse.fingerprints import short_hash
from warehouse.packages import version
from warehouse.rows import ShardRunRow, StageRow

if TYPE_CHECKING:
    from warehouse.lake.tables import Lake


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardReport:
    """The outcome of a stage on a shard: small enough to pass between processes and to store in a database."""

    stage: str
    corpus: str
    shard: str
    rows_in: int
    rows_out: int
    drops: dict[str, int]
    audio_seconds: float
    wall_seconds: float


@dataclass(frozen=True, slots=True)
class Stopwatch:
    """The time of day and the clock at which work on a shard began."""

    started_at: datetime
    clock: float

    @classmethod
    def start(cls) -> Stopwatch:
        """Start the clock."""
        return cls(datetime.now(UTC), time.perf_counter())

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.clock


def report_of(
    rows: Sequence[StageRow],
    *,
    stage: str,
    corpus: str,
    shard: str,
    rows_in: int,
    audio_seconds: float,
    stopwatch: Stopwatch,
) -> ShardReport:
    """Summarise the rows that a stage made of a shard."""
    return ShardReport(
        stage=stage,
        corpus=corpus,
        shard=shard,
        rows_in=rows_in,
        rows_out=sum(row.drop_reason is None for row in rows),
        drops=dict(Counter(row.drop_reason for row in rows if row.drop_reason is not None)),
        audio_seconds=audio_seconds,
        wall_seconds=stopwatch.seconds,
    )


def write_shard_report(
    report: ShardReport, lake: Lake, *, run_id: str, started_at: datetime, options: Mapping[str, Any]
) -> None:
    """Append a report to `shard_runs`."""
    row = ShardRunRow(
        shard_run_id=short_hash(f"{run_id}:{report.stage}:{report.shard}:{started_at.isoformat()}"),
        run_id=run_id,
        stage=report.stage,
        corpus=report.corpus,
        shard=report.shard,
        started_at=started_at,
        wall_seconds=report.wall_seconds,
        audio_seconds=report.audio_seconds,
        rows_in=report.rows_in,
        rows_out=report.rows_out,
        rows_dropped=sum(report.drops.values()),
        host=f"{socket.gethostname()}:{os.getpid()}",
        options=json.dumps(options, default=str),
        code_revision=version("valle"),
    )
    lake.append(ShardRunRow, [row], f"report:{row.shard_run_id}")
