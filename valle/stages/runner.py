"""Run a stage on one shard: the only module in which a stage meets the lake.

Plan what is missing, decode the audio in a thread that runs ahead, call the stage on batches of similar length, add
the shared columns and commit every outcome in one transaction. The batches follow from the rows alone, so a shard
that was killed and is run again gives the same bytes. Work that another process has committed meanwhile is discarded.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np

from valle.audio import Audio, AudioLocation, UnreadableAudio, read_audio
from valle.backends.registry import Backends
from valle.prefetch import Prefetcher
from valle.stages.base import AudioNeed, Drop, Stage, StageInput, WorkItem
from valle.stages.outcomes import Dropped, drop_as_failed, process_batch, stamp
from valle.stages.rules.interferers import draw_interferers
from warehouse.catalogue.planning import ShardPlan, StagePlan, missing_inputs, plan_stage
from warehouse.catalogue.views import connect
from warehouse.errors import CommitConflict, ManifestError
from warehouse.fingerprints import short_hash
from warehouse.rows import ConfigurationRow, RecordingRow, SourceRow, Span, StageRow
from warehouse.shard_runs import ShardReport, Stopwatch, report_of, write_shard_report
from warehouse.upkeep.claims import claimed
from warehouse.upkeep.journal import Journal, open_journal

if TYPE_CHECKING:
    from warehouse.lake.tables import Lake

logger = logging.getLogger(__name__)
# Decoded audio waits in memory: two batches keep a model busy, more only occupy memory.
_BATCHES_AHEAD = 2
_TABLES_OF_ROOTS = (SourceRow.table, RecordingRow.table, ConfigurationRow.table)


@dataclass(frozen=True, slots=True)
class Job:
    """A stage and the corpus that needs it."""

    stage: Stage
    corpus: str


def plan(stage: Stage, corpus: str, connection: duckdb.DuckDBPyConnection) -> StagePlan:
    """Plan what `corpus` still needs from `stage`, by shard. Nothing is written."""
    return plan_stage(
        connection,
        stage.name,
        corpus=corpus,
        configuration=stage.configuration,
        tables=stage.tables,
    )


def set_active_configurations(jobs: Sequence[Job], lake: Lake) -> list[Job]:
    """Make the configurations of the stages the active ones of their corpora; return the jobs that changed one."""
    if not jobs:
        return []
    with connect(lake.snapshot(tables=(ConfigurationRow.table,))) as connection:
        active = set(connection.execute("SELECT corpus, stage, configuration FROM active_configurations").fetchall())
    changed = [job for job in jobs if (job.corpus, job.stage.name, job.stage.configuration) not in active]
    if changed:
        rows = [configuration_row(job) for job in changed]
        lake.append(ConfigurationRow, rows, "configuration:" + ",".join(row.configuration_id for row in rows))
    return changed


def configuration_row(job: Job) -> ConfigurationRow:
    """Return the row that makes the configuration of a stage the active one, from now on."""
    stage, now = job.stage, datetime.now(UTC)
    return ConfigurationRow(
        configuration_id=short_hash(f"{job.corpus}:{stage.name}:{stage.configuration}:{now.isoformat()}"),
        corpus=job.corpus,
        stage=stage.name,
        configuration=stage.configuration,
        options=json.dumps(described_options(stage), default=str),
        activated_at=now,
    )


def described_options(stage: Stage) -> dict[str, Any]:
    """Return everything that is hashed into the configuration of a stage."""
    return stage.effective_options | {"version": stage.version, "revision": stage.revision}


def run_shard(stage: Stage, *, corpus: str, shard: str, lake: Lake, backends: Backends, run_id: str) -> ShardReport:
    """Process what `shard` still needs from `stage` and commit it.

    Audio and inputs that cannot be processed become rows with a reason. Raises PipelineError where the fault is not
    in the input: a full disk, a missing model, contradicting options.
    """
    stopwatch = Stopwatch.start()
    with connect(lake.snapshot(tables=stage.tables.involved), threads=1) as connection:
        records = missing_inputs(
            connection, corpus=corpus, shard=shard, configuration=stage.configuration, tables=stage.tables
        )
        inputs = [_stage_input(record) for record in records]
        if stage.draws is not None:
            inputs = draw_interferers(connection, stage.draws, inputs)
    if stage.audio.is_decoded or stage.reads == "recordings":
        _check_folder(corpus, shard, inputs, lake)
    with open_journal(lake, stage.writes, shard_unit(stage, corpus, shard)) as journal:
        rows = _process_all(stage, inputs, backends, shard, journal) if inputs else []
        is_new = bool(inputs) and _commit(stage, rows, shard, inputs, lake)
    report = report_of(
        rows,
        stage=stage.name,
        corpus=corpus,
        shard=shard,
        rows_in=len(inputs),
        audio_seconds=sum(source.duration for source in inputs),
        stopwatch=stopwatch,
    )
    if is_new:
        started, options = stopwatch.started_at, stage.effective_options
        write_shard_report(report, lake, run_id=run_id, started_at=started, options=options)
    logger.info("%s", json.dumps(dataclasses.asdict(report)))
    return report


def _check_folder(corpus: str, shard: str, inputs: Sequence[StageInput], lake: Lake) -> None:
    """Raise a ManifestError when a shard has none of its files because the folder of the corpus is gone or empty.

    A corpus that was moved, or whose disk is not mounted, must not become a table of missing files.
    """
    if not inputs or any(os.path.lexists(source.location.path) for source in inputs):
        return
    with connect(lake.snapshot(tables=_TABLES_OF_ROOTS), threads=1) as connection:
        roots = connection.execute(
            """
            SELECT DISTINCT coalesce(m.new_root || substr(s.root, length(m.old_root) + 1), s.root)
            FROM (
                SELECT corpus, rtrim(left(path, length(path) - length(relative_path)), '/') AS root FROM sources
                WHERE corpus = ? AND shard = ? AND ends_with(path, '/' || relative_path)
            ) s
            LEFT JOIN moved_roots m ON m.corpus = s.corpus AND starts_with(s.root || '/', m.old_root || '/')
            ORDER BY 1
            """,
            [corpus, shard],
        ).fetchall()
    for (root,) in roots:
        if not Path(root).is_dir() or not any(Path(root).iterdir()):
            raise ManifestError(
                f"No audio of shard {shard} is there: {root}, the folder of corpus {corpus}, does not exist or is "
                "empty; mount it, or run `valle data ingest` with its new folder, then run the same command again."
            )


def shard_unit(stage: Stage, corpus: str, shard: str) -> str:
    """Return the name under which a run claims a shard."""
    return short_hash(f"{stage.name}:{corpus}:{shard}:{stage.configuration}")


def try_shard(
    stage: Stage, *, corpus: str, shard: str, lake: Lake, backends: Backends, run_id: str, wait: bool
) -> ShardReport | None:
    """Run the shard unless another run has claimed it: then return None or, with `wait`, run what that one leaves."""
    with claimed(lake, shard_unit(stage, corpus, shard), run_id, wait=wait) as is_claimed:
        if not is_claimed:
            logger.info("%s %s: claimed by another run", stage.name, shard)
            return None
        return run_shard(stage, corpus=corpus, shard=shard, lake=lake, backends=backends, run_id=run_id)


def run_shards(
    stage: Stage, shards: Sequence[ShardPlan], *, corpus: str, lake: Lake, backends: Backends, run_id: str
) -> list[ShardReport]:
    """Run shards one after the other in this thread, without Prefect; those claimed by another run come last."""
    reports: list[ShardReport] = []
    postponed: list[ShardPlan] = []
    for wait, pending in ((False, shards), (True, postponed)):
        for shard in pending:
            report = try_shard(
                stage, corpus=corpus, shard=shard.shard, lake=lake, backends=backends, run_id=run_id, wait=wait
            )
            if report is None:
                postponed.append(shard)
            else:
                reports.append(report)
    return reports


def _commit(stage: Stage, rows: Sequence[StageRow], shard: str, inputs: Sequence[StageInput], lake: Lake) -> bool:
    """Commit the rows of a shard; return false when another worker has committed the same inputs meanwhile."""
    work = short_hash(",".join(f"{source.id}={source.output_fingerprint}" for source in inputs))
    try:
        lake.append(stage.writes, rows, f"{stage.name}:{shard}:{stage.configuration}:{work}")
    except CommitConflict:
        logger.info("%s %s: another worker committed first; its rows are used", stage.name, shard)
        return False
    return True


def _stage_input(record: dict[str, Any]) -> StageInput:
    return StageInput(
        id=record["id"],
        recording_id=record["recording_id"],
        corpus=record["corpus"],
        shard=record["shard"],
        output_fingerprint=record["output_fingerprint"],
        location=AudioLocation(
            record["path"],
            record["offset"],
            record["size"],
            record["start_sample"],
            record["num_samples"],
            record["channel"],
        ),
        sample_rate=record["sample_rate"],
        duration=record["duration"],
        text=record["text"],
        language=record["language"],
        spans=tuple(Span(**span) for span in record["spans"] or ()),
        span_texts=tuple(record["span_texts"] or ()),
    )


def _process_all(
    stage: Stage, inputs: Sequence[StageInput], backends: Backends, shard: str, journal: Journal[StageRow]
) -> list[StageRow]:
    """Return the rows of all inputs: those of the journal unchanged, the others processed and added to it."""
    key = stage.tables.key
    planned = {(source.id, source.output_fingerprint) for source in inputs}
    rows = [row for row in journal.rows if (getattr(row, key), row.fingerprint) in planned]
    done = {getattr(row, key) for row in rows}
    missing = [source for source in inputs if source.id not in done]
    # The journal has the first of these batches, so the remaining batches have the same inputs as without a kill.
    batches = (_decode(stage, shard, batch) for batch in _batches(missing, stage.batch_seconds))
    with Prefetcher(batches, depth=_BATCHES_AHEAD, name=f"decode-{stage.name}") as decoded:
        for readable, dropped in decoded:
            outcomes = [*dropped, *process_batch(stage, readable, backends, shard)]
            batch_rows = [row for source, outcome in outcomes for row in stamp(stage, source, outcome)]
            journal.add(batch_rows)
            rows.extend(batch_rows)
    answered = {getattr(row, key) for row in rows}
    assert answered == {source.id for source in inputs}, f"{stage.name} did not answer every row of {shard}"
    return rows


def _batches(inputs: Sequence[StageInput], batch_seconds: float) -> list[list[StageInput]]:
    """Group inputs of similar length, each batch at most `batch_seconds` with padding, longest first."""
    batches: list[list[StageInput]] = []
    for source in sorted(inputs, key=lambda source: (-source.duration, source.id)):
        if batches and batches[-1][0].duration * (len(batches[-1]) + 1) <= batch_seconds:
            batches[-1].append(source)
        else:
            batches.append([source])
    return batches


def _decode(stage: Stage, shard: str, batch: Sequence[StageInput]) -> tuple[list[WorkItem], list[Dropped]]:
    """Decode the audio that a stage needs; return the work items, and the inputs whose audio cannot be used."""
    items: list[WorkItem] = []
    dropped: list[Dropped] = []
    for source in batch:
        try:
            items.append(_work_item(source, stage.audio))
        except UnreadableAudio as error:
            dropped.append((source, Drop(error.reason, error.detail)))
        except Exception as error:  # noqa: BLE001 - a decoder may raise anything on damaged audio
            dropped.append((source, drop_as_failed(stage.name, shard, source.id, error)))
    return items, dropped


def _work_item(source: StageInput, need: AudioNeed) -> WorkItem:
    if not need.is_decoded:
        return WorkItem(source, None)
    audio = _finite_audio(source.location, need.sample_rate)
    if source.interferer is None:
        return WorkItem(source, audio)
    return WorkItem(source, audio, _finite_audio(source.interferer.location, need.sample_rate))


def _finite_audio(location: AudioLocation, sample_rate: int | None) -> Audio:
    audio = read_audio(location, sample_rate)
    # Finite samples near the largest float overflow when channels are mixed or the rate changes.
    if not np.isfinite(audio.samples).all():
        raise UnreadableAudio("not_finite", f"{location.path} at {audio.sample_rate} Hz")
    return audio
