"""Ingest a corpus: the sources that its reader lists become rows of `sources` (the plan), then of `recordings`.

Listing commits new sources with the shard of each, so the plan survives a crash and a second run lists only what is
new or changed. Reading a shard is one transaction.
"""

import dataclasses
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from more_itertools import chunked

from manifests.corpus import Corpus, Source, assign_shards, recording_id, source_id
from manifests.reading.recording import fingerprint_of
from valle.stages.outcomes import drop_as_failed
from warehouse.catalogue.views import connect
from warehouse.errors import CommitConflict
from warehouse.fingerprints import short_hash
from warehouse.lake.arrow import column_hints, from_table
from warehouse.lake.tables import Lake
from warehouse.rows import RecordingRow, SourceRow
from warehouse.shard_runs import ShardReport, Stopwatch, report_of, write_shard_report

if TYPE_CHECKING:
    from manifests.lhotse_io import ManifestPaths

logger = logging.getLogger(__name__)
_LISTED_AT_ONCE = 20_000
_READ_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class IngestPlan:
    """The number of sources that are new or changed, and the shards that are still to be read."""

    corpus: str
    new_sources: int
    shards: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unread:
    """The sources that ingestion would read (new, changed or only listed) with their bytes, and those it has read."""

    sources: int
    size: int
    sources_read: int


def find_unread(corpus: Corpus, lake: Lake) -> Unread:
    """List the corpus and count what is to be read. Nothing is written.

    Raises ManifestError when the root of the corpus does not exist.
    """
    unseen = [
        source for batch in chunked(corpus.find(), _LISTED_AT_ONCE) for source in _unseen(corpus.name, batch, lake)
    ]
    with connect(lake.snapshot()) as connection:
        listed = connection.execute(
            "SELECT count(*) FILTER (NOT is_read), coalesce(sum(size) FILTER (NOT is_read), 0), "
            "count(*) FILTER (is_read) "
            "FROM (SELECT size, shard IN (SELECT shard FROM recordings WHERE corpus = $1) AS is_read "
            "FROM sources WHERE corpus = $1)",
            [corpus.name],
        ).fetchone()
    count, size, read = listed or (0, 0, 0)
    return Unread(len(unseen) + count, sum(source.size for source in unseen) + int(size), read)


def plan_ingest(corpus: Corpus, lake: Lake) -> IngestPlan:
    """List the corpus, commit the sources that are new or changed, and return the shards that are still to be read.

    Raises ManifestError when the root of the corpus does not exist.
    """
    new = 0
    for batch in chunked(corpus.find(), _LISTED_AT_ONCE):
        unseen = _unseen(corpus.name, batch, lake)
        if not unseen:
            continue
        rows = list(assign_shards(unseen, corpus.name, megabytes=corpus.options.shard_megabytes))
        unit = short_hash(",".join(f"{row.source_id}={row.etag}" for row in rows))
        try:
            lake.append(SourceRow, rows, f"list:{unit}")
            new += len(rows)
        except CommitConflict:
            logger.info("%s: another run committed the same listing first; its plan is used", corpus.name)
    return IngestPlan(corpus.name, new, unread_shards(corpus.name, lake))


def unread_shards(corpus: str, lake: Lake) -> tuple[str, ...]:
    """Return the shards of `corpus` that were listed and not read yet, in the order of their names."""
    with connect(lake.snapshot(tables=(SourceRow.table, RecordingRow.table)), extent="tables") as connection:
        rows = connection.execute(
            "SELECT DISTINCT shard FROM sources WHERE corpus = $1 "
            "EXCEPT SELECT DISTINCT shard FROM recordings WHERE corpus = $1 ORDER BY 1",
            [corpus],
        ).fetchall()
    return tuple(shard for (shard,) in rows)


def ingest_shard(corpus: Corpus, *, shard: str, lake: Lake, run_id: str) -> ShardReport:
    """Read every source of `shard` and commit its recordings, unless another worker has done so.

    A source on which the reader raises becomes a row `failed` after the recordings read before it.
    """
    stopwatch = Stopwatch.start()
    rows: list[RecordingRow] = []
    is_new = not lake.is_committed(RecordingRow.table, f"ingest:{shard}")
    if is_new:
        rows = [row for source in _listed_sources(corpus.name, shard, lake) for row in _read(corpus, source, shard)]
        try:
            lake.append(RecordingRow, rows, f"ingest:{shard}")
        except CommitConflict:
            logger.info("ingest %s: another worker committed first; its rows are used", shard)
            is_new = False
    report = report_of(
        rows,
        stage="ingest",
        corpus=corpus.name,
        shard=shard,
        rows_in=len(rows),
        audio_seconds=sum(row.duration or 0.0 for row in rows if row.drop_reason is None),
        stopwatch=stopwatch,
    )
    if is_new:
        started, options = stopwatch.started_at, dataclasses.asdict(corpus.options)
        write_shard_report(report, lake, run_id=run_id, started_at=started, options=options)
    return report


def _listed_sources(corpus: str, shard: str, lake: Lake) -> list[SourceRow]:
    with connect(lake.snapshot(tables=(SourceRow.table,)), threads=1, extent="tables") as connection:
        listed = connection.execute(
            'SELECT * FROM sources WHERE corpus = ? AND shard = ? ORDER BY path, "offset"', [corpus, shard]
        ).to_arrow_table()
    return list(from_table(SourceRow, listed))


def _read(corpus: Corpus, source: SourceRow, shard: str) -> Iterator[RecordingRow]:
    """Yield the recordings of a source; where its reader raises, a row that says so ends them."""
    try:
        for row in corpus.read(source):
            # The time of listing, not of reading: of two equal files the first listed is kept, in any order of reading.
            yield dataclasses.replace(row, shard=shard, ingested_at=source.found_at)
    except Exception as error:  # noqa: BLE001 - a reader parses files of any content
        drop = drop_as_failed("ingest", shard, source.path, error)
        columns: dict[str, Any] = dict.fromkeys(column_hints(RecordingRow))
        columns |= {
            "recording_id": recording_id(corpus.name, source.relative_path),
            "source_id": source.source_id,
            "corpus": corpus.name,
            "part": "",
            "shard": shard,
            "fingerprint": fingerprint_of(corpus, source),
            "path": source.path,
            "offset": source.offset,
            "size": source.size,
            "content_hash": source.source_id,
            "origin": corpus.options.origin,
            "licence": corpus.options.licence or "unknown",
            "extra": "{}",
            "ingested_at": source.found_at,
            "drop_reason": drop.reason,
            "drop_detail": drop.detail,
        }
        yield RecordingRow(**columns)


def export_manifests(corpus: str, lake: Lake, directory: Path) -> "list[ManifestPaths]":
    """Write the usable recordings of a corpus as Lhotse manifests, a set of files for each published subset."""
    from manifests.lhotse_io import (
        write_manifests,
    )  # Lhotse imports torch, which a run with nothing to do does not need

    written = []
    with connect(lake.snapshot(tables=(RecordingRow.table,)), threads=1, extent="current") as connection:
        subsets = connection.execute(
            "SELECT DISTINCT part FROM current_recordings WHERE corpus = ? AND drop_reason IS NULL ORDER BY 1", [corpus]
        ).fetchall()
        for (subset,) in subsets:
            reader = connection.execute(
                "SELECT * FROM current_recordings WHERE corpus = ? AND part = ? AND drop_reason IS NULL "
                "ORDER BY recording_id",
                [corpus, subset],
            ).to_arrow_reader(_READ_AT_ONCE)
            rows = (row for batch in reader for row in from_table(RecordingRow, pa.Table.from_batches([batch])))
            written.append(write_manifests(rows, directory, corpus=corpus, part=subset or "all"))
    return written


def _unseen(corpus: str, sources: list[Source], lake: Lake) -> list[Source]:
    """Return the sources that are not in the lake with the same etag, in their order."""
    listed = pa.table(
        {
            "number": list(range(len(sources))),
            "source_id": [source_id(corpus, source) for source in sources],
            "etag": [source.etag for source in sources],
        }
    )
    with connect(lake.snapshot(tables=(SourceRow.table,)), extent="tables") as connection:
        connection.register("listed", listed)
        answer = connection.execute(
            "SELECT number FROM listed l ANTI JOIN sources s ON s.source_id = l.source_id AND s.etag = l.etag "
            "ORDER BY number"
        ).fetchall()
    return [sources[number] for (number,) in answer]
