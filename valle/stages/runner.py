"""Running a stage on one shard: the only place where a stage meets the lake.

Plan what is missing, decode the audio in a thread that runs ahead, call the stage on batches of similar length, and
commit every outcome in one transaction. The batches follow from the rows alone, so a shard that was killed and is
run again gives the same bytes. Work that another process has committed meanwhile is thrown away.
"""

import dataclasses
import json
import logging
import os
import queue
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from valle.audio import AudioLocation, UnreadableAudio, read_audio
from valle.backends.registry import Backends
from valle.stages.base import Stage, StageInput, WorkItem
from warehouse.catalogue.planning import ShardPlan, StagePlan, StageTables, missing_inputs, plan_stage
from warehouse.catalogue.views import NewestCatalogue, connect
from warehouse.errors import CommitConflict, StageError
from warehouse.fingerprints import configuration_of, short_hash
from warehouse.lake.tables import Lake
from warehouse.rows import ConfigurationRow, RunRow, Span
from warehouse.upkeep.claims import claimed
from warehouse.upkeep.journal import Journal, open_journal

logger = logging.getLogger(__name__)
_BATCHES_AHEAD = 2


@dataclass(frozen=True, slots=True)
class Job:
    """A stage and the corpus that needs it."""

    stage: Stage
    corpus: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardReport:
    """What a shard did: small enough to pass between processes and to keep in a database."""

    stage: str
    corpus: str
    shard: str
    rows_in: int
    rows_out: int
    drops: dict[str, int]
    audio_seconds: float
    wall_seconds: float


def tables_of(stage: Stage) -> StageTables:
    """The input view and output table of a stage; the output's column of input ids is named after the input."""
    key = "recording_id" if stage.reads == "recordings" else "segment_id"
    return StageTables(reads=stage.reads, writes=stage.writes.table, key=key)  # type: ignore[attr-defined]


def options_of(stage: Stage) -> dict[str, Any]:
    """The options that change what a stage produces; fields with the metadata `neutral` do not."""
    fields = dataclasses.fields(stage)  # type: ignore[arg-type]
    return {field.name: getattr(stage, field.name) for field in fields if not field.metadata.get("neutral")}


def stage_configuration(stage: Stage, backends: Backends) -> str:
    """The configuration hash of a stage: its name, version, options and the revisions of its models."""
    return configuration_of(stage.name, stage.version, options_of(stage), stage.revision(backends))


def plan(stage: Stage, corpus: str, catalogue: NewestCatalogue, backends: Backends) -> StagePlan:
    """What `corpus` still needs from `stage`, by shard. Nothing is written."""
    return plan_stage(
        catalogue.connection(),
        stage.name,
        corpus=corpus,
        configuration=stage_configuration(stage, backends),
        tables=tables_of(stage),
    )


def activate(jobs: Sequence[Job], lake: Lake, backends: Backends) -> list[Job]:
    """Put the configurations of the stages in force for their corpora; the jobs for which they were not."""
    if not jobs:
        return []
    with connect(lake.snapshot(tables=(ConfigurationRow.table,)), extent="in_force") as connection:
        found = connection.execute("SELECT corpus, stage, configuration FROM configurations_in_force").fetchall()
    in_force = set(found)
    changed, rows = [], []
    for job in jobs:
        configuration = stage_configuration(job.stage, backends)
        if (job.corpus, job.stage.name, configuration) not in in_force:
            changed.append(job)
            rows.append(_configuration_row(job, configuration, backends))
    if rows:
        lake.append(ConfigurationRow, rows, "configuration:" + ",".join(row.configuration_id for row in rows))
    return changed


def _configuration_row(job: Job, configuration: str, backends: Backends) -> ConfigurationRow:
    stage, now = job.stage, datetime.now(UTC)
    return ConfigurationRow(
        configuration_id=short_hash(f"{job.corpus}:{stage.name}:{configuration}:{now.isoformat()}"),
        corpus=job.corpus,
        stage=stage.name,
        configuration=configuration,
        options=json.dumps(
            options_of(stage) | {"version": stage.version, "revision": stage.revision(backends)}, default=str
        ),
        activated_at=now,
    )


def run_shard(stage: Stage, *, corpus: str, shard: str, lake: Lake, backends: Backends, run_id: str) -> ShardReport:
    """Do what `shard` still needs from `stage` and commit it.

    Raises StageError when the stage itself fails; bad audio becomes a row with a reason.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    configuration = stage_configuration(stage, backends)
    tables = tables_of(stage)
    with connect(lake.snapshot(tables=tables.involved), threads=1, extent="inputs") as connection:
        records = missing_inputs(connection, corpus=corpus, shard=shard, configuration=configuration, tables=tables)
    inputs = [_stage_input(record) for record in records]
    with open_journal(lake, stage.writes, shard_unit(stage, corpus, shard, backends)) as journal:
        rows = _process_all(stage, inputs, backends, shard, journal) if inputs else []
        is_new = bool(inputs) and _commit(stage, rows, shard, configuration, inputs, lake)
    report = ShardReport(
        stage=stage.name,
        corpus=corpus,
        shard=shard,
        rows_in=len(inputs),
        rows_out=sum(row.drop_reason is None for row in rows),
        drops=dict(Counter(row.drop_reason for row in rows if row.drop_reason is not None)),
        audio_seconds=sum(source.duration for source in inputs),
        wall_seconds=time.perf_counter() - clock,
    )
    if is_new:
        write_shard_report(report, lake, run_id=run_id, started=started, options=options_of(stage))
    logger.info("%s", json.dumps(dataclasses.asdict(report)))
    return report


def shard_unit(stage: Stage, corpus: str, shard: str, backends: Backends) -> str:
    """The name under which a run claims a shard."""
    return short_hash(f"{stage.name}:{corpus}:{shard}:{stage_configuration(stage, backends)}")


def try_shard(
    stage: Stage, *, corpus: str, shard: str, lake: Lake, backends: Backends, run_id: str, wait: bool
) -> ShardReport | None:
    """`run_shard`, unless another run is at the same shard: then None or, with `wait`, what that one leaves to do."""
    with claimed(lake, shard_unit(stage, corpus, shard, backends), run_id, wait=wait) as is_ours:
        if not is_ours:
            logger.info("%s %s: another run is at it", stage.name, shard)
            return None
        return run_shard(stage, corpus=corpus, shard=shard, lake=lake, backends=backends, run_id=run_id)


def run_shards(
    stage: Stage, shards: Sequence[ShardPlan], *, corpus: str, lake: Lake, backends: Backends, run_id: str
) -> list[ShardReport]:
    """The shards one after the other in this thread, without Prefect; those that another run is at come last."""
    reports: list[ShardReport] = []
    taken: list[ShardPlan] = []
    for wait, todo in ((False, shards), (True, taken)):
        for shard in todo:
            report = try_shard(
                stage, corpus=corpus, shard=shard.shard, lake=lake, backends=backends, run_id=run_id, wait=wait
            )
            if report is None:
                taken.append(shard)
            else:
                reports.append(report)
    return reports


def write_shard_report(
    report: ShardReport, lake: Lake, *, run_id: str, started: datetime, options: dict[str, Any]
) -> None:
    """Keep a report as a row of `runs`."""
    row = RunRow(
        receipt_id=short_hash(f"{run_id}:{report.stage}:{report.shard}:{started.isoformat()}"),
        run_id=run_id,
        stage=report.stage,
        corpus=report.corpus,
        shard=report.shard,
        started_at=started,
        wall_seconds=report.wall_seconds,
        audio_seconds=report.audio_seconds,
        rows_in=report.rows_in,
        rows_out=report.rows_out,
        rows_dropped=sum(report.drops.values()),
        host=f"{socket.gethostname()}:{os.getpid()}",
        options=json.dumps(options, default=str),
        code_revision=version("valle"),
    )
    lake.append(RunRow, [row], f"report:{row.receipt_id}")


def _commit(
    stage: Stage, rows: Sequence[Any], shard: str, configuration: str, inputs: Sequence[StageInput], lake: Lake
) -> bool:
    """Commit the rows of a shard; false when another worker has done the same inputs meanwhile."""
    work = short_hash(",".join(f"{source.id}={source.fingerprint}" for source in inputs))
    try:
        lake.append(stage.writes, rows, f"{stage.name}:{shard}:{configuration}:{work}")
    except CommitConflict:
        logger.info("%s %s: another worker was first; its rows stand", stage.name, shard)
        return False
    return True


def _stage_input(record: dict[str, Any]) -> StageInput:
    return StageInput(
        id=record["id"],
        recording_id=record["recording_id"],
        corpus=record["corpus"],
        shard=record["shard"],
        fingerprint=record["fingerprint"],
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
    stage: Stage, inputs: Sequence[StageInput], backends: Backends, shard: str, journal: Journal
) -> list[Any]:
    """The rows of all inputs: those of the journal as they are, the others made now and added to it."""
    key = tables_of(stage).key
    wanted = {(source.id, source.fingerprint) for source in inputs}
    rows = [row for row in journal.rows if (getattr(row, key), row.fingerprint) in wanted]
    done = {getattr(row, key) for row in rows}
    missing = [source for source in inputs if source.id not in done]
    # What is done are the first of these batches, so those that are left are what they were.
    for readable, dropped in _read_ahead(stage, _batches(missing, stage.batch_seconds)):
        try:
            made = [*dropped, *stage.process(readable, backends)] if readable else dropped
        except (RuntimeError, ValueError, TypeError, KeyError, IndexError, OSError, MemoryError) as error:
            ids = ", ".join(item.input.id for item in readable[:3])
            raise StageError(
                f"Stage {stage.name} failed on shard {shard}, in the batch of {ids}: {type(error).__name__}: {error}."
            ) from error
        journal.add(made)
        rows.extend(made)
    answered = {getattr(row, key) for row in rows}
    assert answered == {source.id for source in inputs}, f"{stage.name} did not answer every row of {shard}"
    return rows


def _batches(inputs: Sequence[StageInput], batch_seconds: float) -> list[list[StageInput]]:
    """Inputs of similar length together, each batch at most `batch_seconds` with padding, longest first."""
    batches: list[list[StageInput]] = []
    for source in sorted(inputs, key=lambda source: (-source.duration, source.id)):
        if batches and batches[-1][0].duration * (len(batches[-1]) + 1) <= batch_seconds:
            batches[-1].append(source)
        else:
            batches.append([source])
    return batches


def _decode(stage: Stage, batch: Sequence[StageInput]) -> tuple[list[WorkItem], list[Any]]:
    items, dropped = [], []
    for source in batch:
        if stage.audio_rate is None:
            items.append(WorkItem(source, None))
            continue
        try:
            items.append(WorkItem(source, read_audio(source.location, stage.audio_rate or None)))
        except UnreadableAudio as error:
            dropped.append(stage.drop(source, error.reason, error.detail))
    return items, dropped


def _read_ahead(stage: Stage, batches: Sequence[Sequence[StageInput]]) -> Iterator[tuple[list[WorkItem], list[Any]]]:
    """Decoded batches in order; a thread decodes the next ones while the caller works on this one."""
    ready: queue.Queue[tuple[list[WorkItem], list[Any]] | BaseException | None] = queue.Queue(_BATCHES_AHEAD)
    stop = threading.Event()

    def decode_all() -> None:
        try:
            for batch in batches:
                if stop.is_set():
                    return
                ready.put(_decode(stage, batch))
            ready.put(None)
        except BaseException as error:  # noqa: BLE001 - handed to the caller, which raises it
            ready.put(error)

    thread = threading.Thread(target=decode_all, name=f"decode-{stage.name}", daemon=True)
    thread.start()
    try:
        while (outcome := ready.get()) is not None:
            if isinstance(outcome, BaseException):
                raise outcome
            yield outcome
    finally:
        stop.set()
        while thread.is_alive():
            try:
                ready.get(timeout=0.05)
            except queue.Empty:
                continue
