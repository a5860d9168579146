"""Ingest a corpus: the sources that its reader lists become rows of `sources` (the plan), then of `recordings`.

Listing commits new sources with the shard of each, so the plan survives a crash and a second run lists only what is
new or changed. Reading a shard is one transaction.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from more_itertools import chunked

from manifests.corpus import Corpus, Source, assign_shards, source_id
from manifests.lhotse_lines import ManifestPaths, write_manifests
from manifests.reading.recording import failed_row
from valle.stages.outcomes import raise_if_not_about_input
from warehouse.catalogue.views import connect
from warehouse.errors import CommitConflict
from warehouse.fingerprints import short_hash
from warehouse.lake.arrow import from_table
from warehouse.rows import ConfigurationRow, RecordingRow, SourceRow
from warehouse.shard_runs import ShardReport, Stopwatch, report_of, write_shard_report

if TYPE_CHECKING:
    from warehouse.lake.tables import Lake

logger = logging.getLogger(__name__)
_STAGE = "ingest"
# Rows that are Python objects at once: a corpus has millions of sources.
_LISTED_AT_ONCE = 20_000
_READ_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class IngestPlan:
    """Result of a listing: the number of new or changed sources, and the shards that are still to be read.

    `is_moved` when sources that were read before are in another folder now.
    """

    corpus: str
    new_sources: int
    shards: tuple[str, ...]
    is_moved: bool = False


@dataclass(frozen=True, slots=True)
class Unread:
    """Sources that ingestion would read (new, changed or only listed) and their bytes; and those that were read."""

    sources: int
    size: int
    sources_read: int


def find_unread(corpus: Corpus, lake: Lake) -> Unread:
    """List the corpus and count what is to be read, without writing anything.

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

    Sources that were read from another folder, which is gone, are the same sources: the lake notes where they are.
    Raises ManifestError when the root of the corpus does not exist.
    """
    new = 0
    moves: dict[str, _Move] = {}
    for batch in chunked(corpus.find(), _LISTED_AT_ONCE):
        for move in _moves(corpus.name, batch, lake):
            moves.setdefault(move.old_root, move)
        unseen = _unseen(corpus.name, batch, lake)
        if not unseen:
            continue
        rows = list(assign_shards(unseen, corpus.name, megabytes=corpus.options.shard_megabytes))
        unit = short_hash(",".join(f"{row.source_id}={row.etag}" for row in rows))
        try:
            lake.append(SourceRow, rows, f"list:{unit}")
            new += len(rows)
        except CommitConflict:
            logger.info("%s: another process has committed the same listing", corpus.name)
    is_moved = _note_moves(corpus, moves.values(), lake)
    return IngestPlan(corpus.name, new, unread_shards(corpus.name, lake), is_moved)


def unread_shards(corpus: str, lake: Lake) -> tuple[str, ...]:
    """Return the shards of `corpus` that were listed and not read yet, in the order of their names."""
    with connect(lake.snapshot(tables=(SourceRow.table, RecordingRow.table))) as connection:
        rows = connection.execute(
            "SELECT DISTINCT shard FROM sources WHERE corpus = $1 "
            "EXCEPT SELECT DISTINCT shard FROM recordings WHERE corpus = $1 ORDER BY 1",
            [corpus],
        ).fetchall()
    return tuple(shard for (shard,) in rows)


def ingest_shard(corpus: Corpus, *, shard: str, lake: Lake, run_id: str) -> ShardReport:
    """Read every source of `shard` and commit its recordings, unless another worker has done so."""
    stopwatch = Stopwatch.start()
    rows: list[RecordingRow] = []
    is_new = not lake.is_committed(RecordingRow.table, f"{_STAGE}:{shard}")
    if is_new:
        # The time of listing, not of reading: of two equal files the first listed is kept, in any order of reading.
        rows = [
            dataclasses.replace(row, shard=shard, ingested_at=source.found_at)
            for source in _sources_of(corpus, shard, lake)
            for row in _read(corpus, source, shard)
        ]
        try:
            lake.append(RecordingRow, rows, f"{_STAGE}:{shard}")
        except CommitConflict:
            logger.info("%s %s: another worker has committed the same shard", _STAGE, shard)
            is_new = False
    report = report_of(
        rows,
        stage=_STAGE,
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


def _sources_of(corpus: Corpus, shard: str, lake: Lake) -> Iterator[SourceRow]:
    """Yield the sources of a shard with paths below the present root of the corpus, if they have left the old one."""
    with connect(lake.snapshot(tables=(SourceRow.table,)), threads=1) as connection:
        listed = connection.execute(
            'SELECT * FROM sources WHERE corpus = ? AND shard = ? ORDER BY path, "offset"', [corpus.name, shard]
        ).to_arrow_table()
    # A shard may have been listed in one place and be read, after a crash and a move, in another.
    folder = _folder_of(corpus)
    for source in from_table(SourceRow, listed):
        present = f"{folder}/{source.relative_path}"
        is_moved = not os.path.lexists(source.path) and os.path.lexists(present)
        yield dataclasses.replace(source, path=present) if is_moved else source


def _read(corpus: Corpus, source: SourceRow, shard: str) -> Iterator[RecordingRow]:
    """Yield the rows of a source; where its reader raises, a dropped row ends them, so that the others are kept."""
    try:
        yield from corpus.read(source)
    except Exception as error:
        raise_if_not_about_input(_STAGE, shard, error)
        logger.warning("%s: %s is dropped as failed", corpus.name, source.path, exc_info=error)
        yield failed_row(corpus, source, error)


def export_manifests(corpus: str, lake: Lake, directory: Path) -> list[ManifestPaths]:
    """Write the usable recordings of a corpus as Lhotse manifests, a set of files for each subset."""
    written = []
    tables = (RecordingRow.table, ConfigurationRow.table)
    with connect(lake.snapshot(tables=tables), threads=1) as connection:
        subsets = connection.execute(
            "SELECT DISTINCT subset FROM current_recordings WHERE corpus = ? AND drop_reason IS NULL ORDER BY 1",
            [corpus],
        ).fetchall()
        for (subset,) in subsets:
            reader = connection.execute(
                "SELECT * FROM current_recordings WHERE corpus = ? AND subset = ? AND drop_reason IS NULL "
                "ORDER BY recording_id",
                [corpus, subset],
            ).to_arrow_reader(_READ_AT_ONCE)
            rows = (row for batch in reader for row in from_table(RecordingRow, pa.Table.from_batches([batch])))
            written.append(write_manifests(rows, directory, corpus=corpus, subset=subset or "all"))
    return written


def _unseen(corpus: str, sources: list[Source], lake: Lake) -> list[Source]:
    """Return the sources that are not in the lake with the same etag, in their order."""
    with connect(lake.snapshot(tables=(SourceRow.table,))) as connection:
        connection.register("listed", _as_table(corpus, sources))
        answer = connection.execute(
            "SELECT number FROM listed l ANTI JOIN sources s ON s.source_id = l.source_id AND s.etag = l.etag "
            "ORDER BY number"
        ).fetchall()
    return [sources[number] for (number,) in answer]


@dataclass(frozen=True, slots=True)
class _Move:
    """Sources that were listed below `old_root` and are now below `new_root`; `example` is one of their paths."""

    old_root: str
    new_root: str
    example: str


def _moves(corpus: str, sources: list[Source], lake: Lake) -> list[_Move]:
    """Return the roots below which listed sources were found before, unchanged: the present one, or others."""
    with connect(lake.snapshot(tables=(SourceRow.table,))) as connection:
        connection.register("listed", _as_table(corpus, sources))
        answer = connection.execute(
            """
            SELECT rtrim(left(s.path, length(s.path) - length(s.relative_path)), '/') AS old_root,
                   min(rtrim(left(l.path, length(l.path) - length(l.relative_path)), '/')) AS new_root,
                   min(s.relative_path)
            FROM listed l JOIN sources s ON s.source_id = l.source_id AND s.etag = l.etag
            WHERE ends_with(s.path, '/' || s.relative_path) AND ends_with(l.path, '/' || l.relative_path)
            GROUP BY old_root ORDER BY old_root
            """
        ).fetchall()
    return [_Move(*row) for row in answer]


def _as_table(corpus: str, sources: list[Source]) -> pa.Table:
    return pa.table(
        {
            "number": pa.array(range(len(sources)), pa.int64()),
            "source_id": pa.array([source_id(corpus, source) for source in sources], pa.string()),
            "etag": pa.array([source.etag for source in sources], pa.string()),
            "path": pa.array([source.path for source in sources], pa.string()),
            "relative_path": pa.array([source.relative_path for source in sources], pa.string()),
        }
    )


def _note_moves(corpus: Corpus, moves: Iterable[_Move], lake: Lake) -> bool:
    """Commit which roots have moved, as the configuration of ingestion, and return whether any has.

    A root that is still there has not moved: the corpus was copied, or is mounted twice.
    """
    before = _moved_roots(corpus.name, lake)
    after = dict(before)
    for move in moves:
        present = _present(move.old_root, after)
        if present != move.new_root and not os.path.lexists(f"{present}/{move.example}"):
            old, new = move.old_root, move.new_root
            if corpus.root.is_file():  # A list names audio beside its folder, which has moved with it.
                old, new = _without_common_end(old, new)
            # Nested entries would give a path two present places; the newest move is the one that is known to be true.
            after = {root: target for root, target in after.items() if not _is_nested(root, old)}
            if old != new:
                after[old] = new
    if after == before:
        return False
    options = json.dumps(
        {"kind": corpus.kind, "moved": [{"old_root": old, "new_root": new} for old, new in sorted(after.items())]}
    )
    now = datetime.now(UTC)
    row = ConfigurationRow(
        configuration_id=short_hash(f"{corpus.name}:{_STAGE}:{options}:{now.isoformat()}"),
        corpus=corpus.name,
        stage=_STAGE,
        configuration=short_hash(options),
        options=options,
        activated_at=now,
    )
    lake.append(ConfigurationRow, [row], f"configuration:{row.configuration_id}")
    for old in sorted(after.keys() - before.keys()):
        logger.info("%s: %s has moved to %s", corpus.name, old, after[old])
    return True


def _moved_roots(corpus: str, lake: Lake) -> dict[str, str]:
    with connect(lake.snapshot(tables=(ConfigurationRow.table,))) as connection:
        rows = connection.execute("SELECT old_root, new_root FROM moved_roots WHERE corpus = ?", [corpus]).fetchall()
    return dict(rows)


def _present(root: str, moved: Mapping[str, str]) -> str:
    """Return where a root is now."""
    for old, new in moved.items():
        if root == old or root.startswith(f"{old}/"):
            return new + root[len(old) :]
    return root


def _is_nested(first: str, second: str) -> bool:
    return f"{first}/".startswith(f"{second}/") or f"{second}/".startswith(f"{first}/")


def _without_common_end(first: str, second: str) -> tuple[str, str]:
    """Return two folders without the last names that they share."""
    one, two = first.split("/"), second.split("/")
    while len(one) > 2 and len(two) > 2 and one[-1] == two[-1]:
        one, two = one[:-1], two[:-1]
    return "/".join(one), "/".join(two)


def _folder_of(corpus: Corpus) -> str:
    """Return the folder to which the paths of a corpus are relative."""
    root = corpus.root.absolute()
    return str(root.parent if root.is_file() else root)
