"""Ingestion: what a corpus reader finds becomes rows of `sources` (the plan) and then of `recordings`.

Listing commits new sources with the shard each belongs to, so the plan survives a crash and a second run lists
only what is new or changed. Reading a shard is one transaction.
"""

import dataclasses
import itertools
import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from manifests.corpus import Corpus, Source, assign_shards, source_id
from valle.stages.runner import ShardReport, write_shard_report
from warehouse.catalogue.views import connect
from warehouse.errors import CommitConflict
from warehouse.fingerprints import short_hash
from warehouse.lake.arrow import from_table
from warehouse.lake.tables import Lake
from warehouse.rows import RecordingRow, SourceRow

if TYPE_CHECKING:
    from manifests.lhotse_io import ManifestPaths

logger = logging.getLogger(__name__)
_LISTED_AT_ONCE = 20_000
_READ_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class IngestPlan:
    """What listing found: how many sources are new or changed, and the shards that are still to be read."""

    corpus: str
    new_sources: int
    shards: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unread:
    """What ingestion would read: sources that are new, changed or only listed, and their bytes; and what is read."""

    sources: int
    size: int
    sources_read: int


def find_unread(corpus: Corpus, lake: Lake) -> Unread:
    """List the corpus and say what is to be read. Nothing is written.

    Raises ManifestError when the root of the corpus does not exist.
    """
    unseen = [
        source for batch in _batched(corpus.find(), _LISTED_AT_ONCE) for source in _unseen(corpus.name, batch, lake)
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
    """List the corpus, commit the sources that are new or changed, and say which shards are still to be read.

    Raises ManifestError when the root of the corpus does not exist.
    """
    new = 0
    for batch in _batched(corpus.find(), _LISTED_AT_ONCE):
        unseen = _unseen(corpus.name, batch, lake)
        if not unseen:
            continue
        rows = list(assign_shards(unseen, corpus.name, megabytes=corpus.options.shard_megabytes))
        unit = short_hash(",".join(f"{row.source_id}={row.etag}" for row in rows))
        try:
            lake.append(SourceRow, rows, f"list:{unit}")
            new += len(rows)
        except CommitConflict:
            logger.info("%s: another listing was first; its plan stands", corpus.name)
    return IngestPlan(corpus.name, new, unread_shards(corpus.name, lake))


def unread_shards(corpus: str, lake: Lake) -> tuple[str, ...]:
    """Shards of `corpus` that were listed and not read yet, in the order of their names."""
    with connect(lake.snapshot(tables=(SourceRow.table, RecordingRow.table)), extent="tables") as connection:
        rows = connection.execute(
            "SELECT DISTINCT shard FROM sources WHERE corpus = $1 "
            "EXCEPT SELECT DISTINCT shard FROM recordings WHERE corpus = $1 ORDER BY 1",
            [corpus],
        ).fetchall()
    return tuple(shard for (shard,) in rows)


def ingest_shard(corpus: Corpus, *, shard: str, lake: Lake, run_id: str) -> ShardReport:
    """Read every source of `shard` and commit its recordings; nothing is read when another worker has done it."""
    started, clock = datetime.now(UTC), time.perf_counter()
    if lake.is_committed(RecordingRow.table, f"ingest:{shard}"):
        return ShardReport(
            stage="ingest",
            corpus=corpus.name,
            shard=shard,
            rows_in=0,
            rows_out=0,
            drops={},
            audio_seconds=0.0,
            wall_seconds=time.perf_counter() - clock,
        )
    with connect(lake.snapshot(tables=(SourceRow.table,)), threads=1, extent="tables") as connection:
        listed = connection.execute(
            'SELECT * FROM sources WHERE corpus = ? AND shard = ? ORDER BY path, "offset"', [corpus.name, shard]
        ).to_arrow_table()
    sources: list[SourceRow] = list(from_table(SourceRow, listed))
    # The time of listing, not of reading: of two equal files the first listed is kept, in every order of reading.
    rows = [
        dataclasses.replace(row, shard=shard, ingested_at=source.found_at)
        for source in sources
        for row in corpus.read(source)
    ]
    report = ShardReport(
        stage="ingest",
        corpus=corpus.name,
        shard=shard,
        rows_in=len(rows),
        rows_out=sum(row.drop_reason is None for row in rows),
        drops=dict(Counter(row.drop_reason for row in rows if row.drop_reason is not None)),
        audio_seconds=sum(row.duration or 0.0 for row in rows if row.drop_reason is None),
        wall_seconds=time.perf_counter() - clock,
    )
    try:
        lake.append(RecordingRow, rows, f"ingest:{shard}")
    except CommitConflict:
        logger.info("ingest %s: another worker was first; its rows stand", shard)
        return report
    write_shard_report(report, lake, run_id=run_id, started=started, options=dataclasses.asdict(corpus.options))
    return report


def export_manifests(corpus: str, lake: Lake, directory: Path) -> "list[ManifestPaths]":
    """Write the usable recordings of a corpus as Lhotse manifests, a set of files for each part."""
    from manifests.lhotse_io import write_manifests  # Lhotse imports torch, which a run with nothing to do never needs

    written = []
    with connect(lake.snapshot(tables=(RecordingRow.table,)), threads=1, extent="in_force") as connection:
        parts = connection.execute(
            "SELECT DISTINCT part FROM current_recordings WHERE corpus = ? AND drop_reason IS NULL ORDER BY 1", [corpus]
        ).fetchall()
        for (part,) in parts:
            reader = connection.execute(
                "SELECT * FROM current_recordings WHERE corpus = ? AND part = ? AND drop_reason IS NULL "
                "ORDER BY recording_id",
                [corpus, part],
            ).to_arrow_reader(_READ_AT_ONCE)
            rows = (row for batch in reader for row in from_table(RecordingRow, pa.Table.from_batches([batch])))
            written.append(write_manifests(rows, directory, corpus=corpus, part=part or "all"))
    return written


def _unseen(corpus: str, sources: list[Source], lake: Lake) -> list[Source]:
    """The sources that are not in the lake with the same etag, in their order."""
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


def _batched(sources: Iterable[Source], size: int) -> Iterator[list[Source]]:
    iterator = iter(sources)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
