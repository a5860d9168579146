"""Check the lake: every promise that it makes, and which rows or files break it.

Every committed data file of the newest versions and of the pinned ones has the bytes that were written and the rows
of its commit; every id has one row per fingerprint. Files that no commit names are listed as orphans (a killed writer
leaves them, `valle lake vacuum` removes them).
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from warehouse.catalogue.views import connect
from warehouse.errors import LakeError
from warehouse.lake.arrow import TableRow, spread_in
from warehouse.lake.data_files import hash_in_name
from warehouse.lake.store import Location, StoredFile, files_below, open_parquet, read_bytes
from warehouse.lake.tables import Lake, Snapshot
from warehouse.tables import TABLES
from warehouse.upkeep.checksums import recorded_checksums


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A broken promise: `kind` is one word, `what` names the table, data file or id."""

    table: str
    kind: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeCheck:
    """The result of `fsck`: the number of data files and rows checked, the faults, and the orphans (no faults)."""

    data_files: int
    rows: int
    faults: tuple[Fault, ...]
    orphans: tuple[StoredFile, ...]

    @property
    def is_sound(self) -> bool:
        """True if there is no fault."""
        return not self.faults


@dataclass(slots=True)
class _Findings:
    """The data files checked so far, with their rows or their fault, and the faults."""

    checked: dict[Location, int | Fault] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def fsck(lake: Lake) -> LakeCheck:
    """Read every data file of the newest versions and of the pinned ones, and check every promise."""
    findings = _Findings()
    readable = Snapshot({}, {})
    for row_class in TABLES:
        table = row_class.table
        if not _check_version(lake, row_class, None, findings):
            continue
        snapshot = lake.snapshot(tables=(table,))
        if all(isinstance(findings.checked.get(file), int) for file in snapshot.data_files[table]):
            readable.versions.update(snapshot.versions)
            readable.data_files.update(snapshot.data_files)
            readable.num_spread.update(snapshot.num_spread)
            readable.old_names.update(snapshot.old_names)
    row_classes = {row_class.table: row_class for row_class in TABLES}
    for versions in lake.pins().values():
        for table, version in versions.items():
            _check_version(lake, row_classes[table], version, findings)
    findings.faults.extend(_duplicate_faults(readable))
    rows = sum(found for found in findings.checked.values() if isinstance(found, int))
    found = tuple(dict.fromkeys(findings.faults))
    return LakeCheck(data_files=len(findings.checked), rows=rows, faults=found, orphans=_orphans_if_readable(lake))


def _orphans_if_readable(lake: Lake) -> tuple[StoredFile, ...]:
    try:
        return tuple(orphans(lake))
    except LakeError:
        return ()  # A table that cannot be opened is a fault already, and its files are no orphans.


def orphans(lake: Lake) -> Iterator[StoredFile]:
    """Yield the files that neither the newest version of a table nor a pinned one names."""
    kept = kept_files(lake)
    for row_class in TABLES:
        for file in files_below(lake.folder(row_class.table)):
            if file.location not in kept:
                yield file


def kept_files(lake: Lake) -> set[Location]:
    """Return the data files of the newest snapshot and of every pinned one."""
    kept = {path for paths in lake.snapshot().data_files.values() for path in paths}
    for versions in lake.pins().values():
        kept |= {path for paths in lake.snapshot(versions).data_files.values() for path in paths}
    return kept


def _check_version(lake: Lake, row_class: type[TableRow], version: int | None, findings: _Findings) -> bool:
    """Check the data files of one version of a table; return false where there is none to be read."""
    table = row_class.table
    try:
        opened = lake.open_table(table, version)
        declared = lake.snapshot(tables=(table,)) if version is None else lake.snapshot({table: version})
    except LakeError as error:
        findings.faults.append(Fault(table=table, kind="unreadable_table", what=str(error)))
        return False
    if opened is None:
        if version is not None:
            findings.faults.append(Fault(table=table, kind="unreadable_table", what=f"version {version} is missing"))
        return False
    checksums = recorded_checksums(lake, table)
    for name, rows in _committed_rows(opened).items():
        location = lake.folder(table) / name
        if location not in findings.checked:
            found = _check_file(table, location, rows, hash_in_name(name) or checksums.get(name))
            if isinstance(found, int):
                found = _check_lists(row_class, location, declared.num_spread.get(location, 0)) or found
            findings.checked[location] = found
            if isinstance(found, Fault):
                findings.faults.append(found)
    return True


def _committed_rows(table: DeltaTable) -> dict[str, int | None]:
    """Return the data files of a table by name, with the rows that their commits declare."""
    actions: Any = table.get_add_actions(flatten=True)
    return dict(zip(actions.column("path").to_pylist(), actions.column("num_records").to_pylist(), strict=True))


def _check_file(table: str, location: Location, committed: int | None, checksum: str | None) -> int | Fault:
    """Return the rows of a data file, or its fault: other bytes than those written, or other rows."""
    try:
        if checksum is not None and not hashlib.sha256(read_bytes(location)).hexdigest().startswith(checksum):
            return Fault(table=table, kind="damaged_file", what=f"{location.name} has other bytes than were written")
        rows = _decoded_rows(location)
    except (OSError, pa.ArrowException, LakeError) as error:
        return Fault(table=table, kind="unreadable_file", what=f"{location.name}: {str(error).splitlines()[0]}")
    if committed not in (None, rows):
        return Fault(
            table=table, kind="row_count", what=f"{location.name} has {rows} rows, its commit declares {committed}"
        )
    return rows


def _check_lists(row_class: type[TableRow], location: Location, declared: int) -> Fault | None:
    """Return the fault of a data file whose rows have more or fewer inner lists than its commit declares.

    Readers take the number of columns from the commit: with a smaller one they would lose codebooks.
    """
    spread = spread_in(row_class)
    if spread is None:
        return None
    with open_parquet(location, from_store=True) as file:
        largest = pc.max(file.read([spread.count])[spread.count]).as_py() or 0
    if largest == declared:
        return None
    what = f"{location.name} has {spread.count} up to {largest}, its commit declares {declared}"
    return Fault(table=row_class.table, kind="statistics", what=what)


def _decoded_rows(location: Location) -> int:
    """Decode all of a data file, which verifies the checksum of every page that has one, and count its rows."""
    with open_parquet(location, from_store=True) as file:
        return sum(batch.num_rows for batch in file.iter_batches())


def _identity(row_class: type[TableRow]) -> str:
    """Return the columns of which no two rows may share the values."""
    columns: Mapping[str, Any] = row_class.__dataclass_fields__
    made_by = next((name for name in ("fingerprint", "etag") if name in columns), None)
    return f"{row_class.key}, {made_by}" if made_by else row_class.key


def _duplicate_faults(readable: Snapshot) -> Iterator[Fault]:
    """Yield the ids that have more than one row with the same fingerprint."""
    with connect(readable, tables_only=True) as connection:
        for row_class in TABLES:
            if row_class.table not in readable.versions or row_class.table == "training_items":
                continue
            try:
                repeated = connection.execute(
                    f"SELECT {row_class.key} FROM {row_class.table} GROUP BY {_identity(row_class)} "
                    "HAVING count(*) > 1 ORDER BY 1 LIMIT 10"
                ).fetchall()
            except duckdb.Error as error:
                yield Fault(table=row_class.table, kind="unreadable_table", what=str(error).splitlines()[0])
                continue
            for (key,) in repeated:
                yield Fault(table=row_class.table, kind="duplicate_row", what=str(key))
