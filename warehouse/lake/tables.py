"""Commit immutable data files to Delta tables, one table per row class, from many processes at once.

A writer makes a data file (warehouse/lake/data_files.py) and appends it in one short transaction. The transaction
names the unit of work it completes; Delta accepts one commit per name, so two workers that did the same work leave
one copy of it. Files that no commit names do not exist for readers; `vacuum` removes them later.
"""

import json
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction

from warehouse.errors import CommitConflict, LakeError
from warehouse.lake.arrow import RowT, TableRow, schema_of, spread_in
from warehouse.lake.data_files import DataFile, write_rows
from warehouse.lake.format import note_format, read_format, require_format
from warehouse.lake.renamed import old_names
from warehouse.lake.store import Location, delete, files_below, read_text, storage_options, write_text

_CHECKPOINT_IN_FOLDER = "100"
# Commits between two checkpoints: on a store every commit since the last one is a request or two of each reader.
_CHECKPOINT_ON_STORE = "10"
_DELTA_OPTIONS = {
    # A training set may pin a version for years, so the log is never cut.
    "delta.logRetentionDuration": "interval 36500 days",
}
# An attempt fails only because another writer succeeded, so all writers together always advance.
_COMMIT_ATTEMPTS = 100
GENERATION = "generation"
"""Counts, in a table's log, how often rows were deleted to be made again (warehouse/upkeep/retry.py)."""
READER_PIN = ".reader-"
"""Start of the names of pins that a reader holds for the time of its reading."""
_PINS = "_pins"
# Delta Lake decodes %20 in a path and takes a backslash for a slash: it then looks for a folder of another name.
_UNUSABLE = re.compile(r"%[0-9A-Fa-f]{2}|[\x00-\x1f\x7f]" + (r"|\\" if os.name == "posix" else ""))
_CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(slots=True)
class _OpenTable:
    """A table on an object store that this process keeps open, for one thread at a time."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    table: DeltaTable | None = None


class _MetadataChanged(Exception):
    """The table was created, or its schema extended, between reading it and committing to it."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of every table: `versions` by table name, and the `data_files` of those versions.

    `num_spread` has the largest number of inner lists of a row (see `OneColumnEach`) for the data files of tables
    that have such a field. `old_names` has the columns of tables that some data files hold under an old name.
    """

    versions: dict[str, int]
    data_files: dict[str, tuple[Location, ...]]
    num_spread: dict[Location, int] = field(default_factory=dict)
    old_names: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lake:
    """A folder of Delta tables, one for each class in `warehouse.tables.TABLES`, on a disk or on an object store."""

    root: Location

    def __post_init__(self) -> None:
        if isinstance(self.root, Path) and (found := _UNUSABLE.search(str(self.root.absolute()))):
            raise LakeError(
                f"The lake cannot be in {str(self.root)!r}: Delta Lake opens no folder with {found[0]!r} in its path; "
                "rename the folder."
            )

    def folder(self, table: str) -> Location:
        """Return the folder of a table."""
        return self.root / table

    def open_table(self, table: str, version: int | None = None) -> DeltaTable | None:
        """Open the Delta table; return None when nothing was ever committed to it.

        Raises LakeError when the table is damaged or the version does not exist.
        """
        try:
            return DeltaTable(str(self.folder(table)), version=version, storage_options=storage_options(self.root))
        except TableNotFoundError:
            return None
        except DeltaError as error:
            reason = one_line(error)
            raise LakeError(
                f"Table {table} of {self.root} cannot be opened ({reason}); run `valle lake fsck`."
            ) from error

    @contextmanager
    def newest(self, table: str) -> Iterator[DeltaTable | None]:
        """Yield the newest version of a table, or None; nothing else may use it meanwhile. Raises LakeError.

        On an object store it is kept open: an update is two requests and one for each new commit, opening it two for
        each commit since its last checkpoint.
        """
        if isinstance(self.root, Path):
            yield self.open_table(table)
            return
        kept = _open_table(str(self.folder(table)), os.environ.get("AWS_ENDPOINT_URL", ""))
        with kept.lock:
            try:
                if kept.table is not None:
                    kept.table.update_incremental()
            except DeltaError:
                kept.table = None  # Removed or created again since: opened as if for the first time.
            kept.table = kept.table or self.open_table(table)
            yield kept.table

    def append(self, row_class: type[RowT], rows: Sequence[RowT], unit: str) -> DataFile:
        """Write `rows` as one data file and commit it as the unit of work `unit`.

        Raises CommitConflict when that unit is already committed (by this or another process), StorageError when the
        disk is full, LakeError when the table is damaged. In each case nothing half-written becomes visible.
        """
        written = write_rows(self.folder(row_class.table), row_class, rows)
        self.commit(row_class, [written], unit)
        return written

    def commit(self, row_class: type[TableRow], written: Sequence[DataFile], unit: str) -> None:
        """Make written data files visible, all or none; see `append`."""
        while True:
            try:
                return self._commit_once(row_class, written, unit)
            except _MetadataChanged:
                continue  # Another process created or extended the table at the same moment: read it again.

    def _commit_once(self, row_class: type[TableRow], written: Sequence[DataFile], unit: str) -> None:
        num_spread = max((file.num_spread for file in written), default=0)
        with self.newest(row_class.table) as found:
            table = self._create(row_class, num_spread) if found is None else found
            table = self._with_columns(table, row_class, num_spread)
            unit = _in_generation(table, unit)
            if table.transaction_version(unit) is not None:
                raise CommitConflict(f"{row_class.table}: {unit} is already committed.")
            properties = CommitProperties(
                app_transactions=[Transaction(unit, 1)],
                custom_metadata={"unit": unit},
                max_commit_retries=_COMMIT_ATTEMPTS,
            )
            try:
                table.create_write_transaction(
                    [add_action(row_class, file) for file in written],
                    mode="append",
                    schema=table.schema(),
                    commit_properties=properties,
                )
            except (DeltaError, OSError) as error:
                if "Concurrent transaction" in str(error):
                    raise CommitConflict(f"{row_class.table}: another worker committed {unit} first.") from error
                if "Metadata changed" in str(error):
                    raise _MetadataChanged from error
                raise LakeError(
                    f"Could not commit to table {row_class.table} ({one_line(error)}); free space, then run the same "
                    "command again."
                ) from error

    def is_committed(self, table: str, unit: str) -> bool:
        """Return whether the unit of work `unit` has been committed to `table`."""
        with self.newest(table) as opened:
            return opened is not None and opened.transaction_version(_in_generation(opened, unit)) is not None

    def snapshot(self, versions: Mapping[str, int] | None = None, *, tables: Sequence[str] | None = None) -> Snapshot:
        """Return the newest version of every table, or the given ones; a table that has none is left out.

        `tables` limits the newest ones to some, since each costs a few reads; a catalogue shows the others empty.
        """
        from warehouse.tables import TABLES

        require_format(self.root)
        snapshot = Snapshot({}, {})
        row_classes = {row_class.table: row_class for row_class in TABLES}
        names = list(versions) if versions is not None else list(tables or row_classes)
        for name in names:
            with self.newest(name) if versions is None else nullcontext(self.open_table(name, versions[name])) as table:
                if table is None:
                    continue
                actions: Any = table.get_add_actions(flatten=True)
                files = tuple(self.folder(name) / str(path) for path in actions.column("path").to_pylist())
                snapshot.versions[name] = table.version()
                snapshot.data_files[name] = tuple(sorted(files))
                snapshot.old_names[name] = old_names(name, (column.name for column in table.schema().fields))
                if name in row_classes:
                    snapshot.num_spread.update(zip(files, self._num_spread(row_classes[name], actions), strict=False))
        return snapshot

    def _num_spread(self, row_class: type[TableRow], actions: Any) -> list[int]:
        """Return the most inner lists of a row per data file, as the statistics in the log have it."""
        spread = spread_in(row_class)
        if spread is None:
            return []
        column = f"max.{spread.count}"
        values = actions.column(column).to_pylist() if column in actions.schema.names else [None] * actions.num_rows
        # In format 1 no file has the statistic, later only those whose every row was dropped.
        if None in values and read_format(self.root) is None:
            raise LakeError(
                f"Table {row_class.table} of {self.root} has format 1; convert it with `valle migrate {self.root}`."
            )
        return [largest or 0 for largest in values]

    def stored_bytes(self, table: str) -> int:
        """Return the bytes of the newest version of a table; 0 when nothing was ever committed to it."""
        with self.newest(table) as opened:
            return 0 if opened is None else sum(opened.get_add_actions(flatten=True).column("size_bytes").to_pylist())

    def pin(self, name: str, versions: Mapping[str, int]) -> None:
        """Keep the data files of `versions` until `unpin`; used by training sets."""
        write_text(self.root / _PINS / f"{name}.json", json.dumps(dict(versions)))

    def unpin(self, name: str) -> None:
        """Remove a pin. Raises OSError or LakeError where there is none."""
        delete(self.root / _PINS / f"{name}.json")

    @contextmanager
    def pinned_snapshot(self) -> Iterator[Snapshot]:
        """Yield the newest snapshot, whose data files no vacuum removes while the body runs."""
        snapshot = self.snapshot()
        name = f"{READER_PIN}{uuid4().hex}"
        self.pin(name, snapshot.versions)
        try:
            yield snapshot
        finally:
            with suppress(OSError, LakeError):
                self.unpin(name)

    def pins(self) -> dict[str, dict[str, int]]:
        """Return every pin: its name and the versions it keeps."""
        found = [file.location for file in files_below(self.root / _PINS) if file.location.name.endswith(".json")]
        return {path.name.removesuffix(".json"): json.loads(read_text(path)) for path in found}

    def _create(self, row_class: type[TableRow], num_spread: int) -> DeltaTable:
        from warehouse.tables import TABLES

        folder, options = str(self.folder(row_class.table)), storage_options(self.root)
        if not any(self.open_table(other.table) for other in TABLES):
            note_format(self.root, is_new=True)
        interval = _CHECKPOINT_IN_FOLDER if isinstance(self.root, Path) else _CHECKPOINT_ON_STORE
        try:
            DeltaTable.create(
                folder,
                Schema.from_arrow(schema_of(row_class, num_spread)),
                mode="ignore",
                configuration=_DELTA_OPTIONS | {"delta.checkpointInterval": interval},
                storage_options=options,
            )
        except CommitFailedError:
            pass  # Another process created it after this one had looked.
        except (DeltaError, OSError) as error:
            raise LakeError(f"Could not create table {row_class.table} below {self.root}: {one_line(error)}") from error
        return DeltaTable(folder, storage_options=options)

    def _with_columns(self, table: DeltaTable, row_class: type[TableRow], num_spread: int) -> DeltaTable:
        """Return the table with the columns that its row class has gained; they are null in older data files."""
        known = {field.name for field in table.schema().fields}
        fields = Schema.from_arrow(schema_of(row_class, num_spread)).fields
        missing = [field for field in fields if field.name not in known]
        if missing:
            try:
                table.alter.add_columns(missing)
            except CommitFailedError:
                pass  # Another process added them at the same moment.
            except (DeltaError, OSError) as error:
                raise LakeError(f"Could not add columns to table {row_class.table}: {one_line(error)}") from error
            table = DeltaTable(table.table_uri, storage_options=storage_options(self.root))
        return table


def one_line(error: Exception) -> str:
    """Return the message of a library's error as one line without terminal colours and a full stop."""
    return " ".join(_CONTROL_SEQUENCE.sub("", str(error)).split()).rstrip(".")


@cache
def _open_table(url: str, endpoint: str) -> _OpenTable:
    """Return the entry of this process for a table that is kept open."""
    return _OpenTable()


def _in_generation(table: DeltaTable, unit: str) -> str:
    generation = table.transaction_version(GENERATION)
    return unit if generation is None else f"{unit}#{generation}"


def add_action(row_class: type[TableRow], file: DataFile) -> AddAction:
    """Return the entry of a data file in the log of its table."""
    stats: dict[str, Any] = {"numRecords": file.rows}
    if (spread := spread_in(row_class)) is not None and file.num_spread:
        # Readers learn from the log, without opening the file, which columns it has.
        stats |= {"minValues": {spread.count: 0}, "maxValues": {spread.count: file.num_spread}}
    return AddAction(
        path=file.name,
        size=file.size,
        partition_values={},
        modification_time=int(time.time() * 1000),
        data_change=True,
        stats=json.dumps(stats),
    )
