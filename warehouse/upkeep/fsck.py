"""Checking the lake: what must hold, and which rows or files break it.

Every committed part is readable and has the rows its commit says; every id has one row per fingerprint; files that
no commit names are listed as orphans (a killed writer leaves them, `valle lake vacuum` removes them).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from warehouse.catalogue.views import connect
from warehouse.errors import LakeError
from warehouse.lake.store import Location, StoredFile, files_below, open_parquet
from warehouse.lake.tables import Lake, Snapshot
from warehouse.rows import TABLES


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that does not hold: `kind` is one word, `what` names the table, part or id."""

    table: str
    kind: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeCheck:
    """The result of `fsck`: what was looked at, the faults, and the orphans (which are no faults)."""

    parts: int
    rows: int
    faults: tuple[Fault, ...]
    orphans: tuple[StoredFile, ...]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def fsck(lake: Lake) -> LakeCheck:
    """Read every committed part of the newest snapshot and check every promise."""
    faults: list[Fault] = []
    parts = rows = 0
    readable = Snapshot({}, {})
    for row_class in TABLES:
        table = row_class.table
        try:
            opened = lake.open_table(table)
        except LakeError as error:
            faults.append(Fault(table=table, kind="unreadable_table", what=str(error)))
            continue
        if opened is None:
            continue
        promised = _promised_rows(opened)
        found = {name: _read_whole(lake.folder(table) / name) for name in promised}
        parts += len(found)
        rows += sum(read for read in found.values() if isinstance(read, int))
        faults.extend(_part_faults(table, promised, found))
        if all(isinstance(read, int) for read in found.values()):
            readable.versions[table] = opened.version()
            readable.parts[table] = tuple(sorted(lake.folder(table) / name for name in found))
    faults.extend(_duplicate_faults(readable))
    return LakeCheck(parts=parts, rows=rows, faults=tuple(faults), orphans=tuple(orphans(lake)))


def orphans(lake: Lake) -> Iterator[StoredFile]:
    """Files of the lake that no version in use names: not the newest one of a table, nor one that is pinned."""
    kept = kept_files(lake)
    for row_class in TABLES:
        for file in files_below(lake.folder(row_class.table)):
            if file.location not in kept:
                yield file


def kept_files(lake: Lake) -> set[Location]:
    """Parts of the newest snapshot and of every pinned one."""
    kept = {path for paths in lake.snapshot().parts.values() for path in paths}
    for versions in lake.pins().values():
        kept |= {path for paths in lake.snapshot(versions).parts.values() for path in paths}
    return kept


def _promised_rows(table: DeltaTable) -> dict[str, int | None]:
    """The parts of a table by name, and the rows that their commits say they have."""
    actions: Any = table.get_add_actions(flatten=True)
    return dict(zip(actions.column("path").to_pylist(), actions.column("num_records").to_pylist(), strict=True))


def _read_whole(path: Location) -> int | str:
    """The rows of a part after decoding all of it, or why it cannot be read."""
    try:
        with open_parquet(path, from_store=True) as file:
            return sum(batch.num_rows for batch in file.iter_batches())
    except (OSError, pa.ArrowException) as error:
        return str(error).splitlines()[0]


def _part_faults(table: str, promised: Mapping[str, int | None], found: Mapping[str, int | str]) -> Iterator[Fault]:
    for name, read in found.items():
        if isinstance(read, str):
            yield Fault(table=table, kind="unreadable_part", what=f"{name}: {read}")
        elif promised[name] not in (None, read):
            what = f"{name} has {read} rows, its commit says {promised[name]}"
            yield Fault(table=table, kind="row_count", what=what)


def _identity(row_class: Any) -> str:
    """The columns that a row must not share with another."""
    columns = row_class.__dataclass_fields__
    made_by = next((name for name in ("fingerprint", "etag") if name in columns), None)
    return f"{row_class.key}, {made_by}" if made_by else str(row_class.key)


def _duplicate_faults(readable: Snapshot) -> Iterator[Fault]:
    """Ids that have more than one row with the same fingerprint."""
    with connect(readable) as connection:
        for row_class in TABLES:
            if row_class.table not in readable.versions or row_class.table == "training_items":
                continue
            by = _identity(row_class)
            try:
                twice = connection.execute(
                    f"SELECT {row_class.key} FROM {row_class.table} GROUP BY {by} "
                    "HAVING count(*) > 1 ORDER BY 1 LIMIT 10"
                ).fetchall()
            except duckdb.Error as error:
                yield Fault(table=row_class.table, kind="unreadable_table", what=str(error).splitlines()[0])
                continue
            for (key,) in twice:
                yield Fault(table=row_class.table, kind="duplicate_row", what=str(key))
