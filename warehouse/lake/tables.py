"""The lake: one Delta table per row class, of immutable Parquet parts, committed atomically by many processes.

A writer makes a part (warehouse/lake/parts.py) and appends it in one short transaction. The transaction carries the
name of the unit of work it completes; Delta lets one commit per name through, so two workers that did the same work
leave one copy of it. What no commit names does not exist for readers; `vacuum` removes it later.
"""

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction

from warehouse.errors import CommitConflict, LakeError
from warehouse.lake.arrow import schema_of
from warehouse.lake.parts import Part, write_part
from warehouse.lake.store import Location, files_below, read_text, storage_options, write_text
from warehouse.rows import TABLES

_CHECKPOINT_IN_FOLDER = "100"
_CHECKPOINT_ON_STORE = "10"
"""Commits between two checkpoints: on a store every commit since the last one is a request or two of whoever opens."""
_DELTA_OPTIONS = {
    # A training set may pin a version for years, so the log is never cut.
    "delta.logRetentionDuration": "interval 36500 days",
}
_COMMIT_ATTEMPTS = 100
GENERATION = "generation"
"""Counts, in a table's log, how often rows were deleted to be made again (warehouse/upkeep/retry.py)."""


@dataclass(slots=True)
class _OpenTable:
    """A table on an object store that this process keeps open, for one thread at a time."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    table: DeltaTable | None = None


class _MetadataChanged(Exception):
    """The table was created, or its schema extended, between our look and our commit."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of every table: `versions` by table name, `parts` the files of those versions."""

    versions: dict[str, int]
    parts: dict[str, tuple[Location, ...]]


@dataclass(frozen=True, slots=True)
class Lake:
    """A folder of Delta tables, one for each class in `warehouse.rows.TABLES`, on a disk or on an object store."""

    root: Location

    def folder(self, table: str) -> Location:
        """Where a table lies."""
        return self.root / table

    def open_table(self, table: str, version: int | None = None) -> DeltaTable | None:
        """The Delta table, or None when nothing was ever committed to it.

        Raises LakeError when the table is damaged or the version does not exist.
        """
        try:
            return DeltaTable(str(self.folder(table)), version=version, storage_options=storage_options(self.root))
        except TableNotFoundError:
            return None
        except DeltaError as error:
            raise LakeError(
                f"Table {table} of {self.root} cannot be opened ({error}); run `valle lake fsck`."
            ) from error

    @contextmanager
    def newest(self, table: str) -> Iterator[DeltaTable | None]:
        """The newest version of a table, or None; to be used by nobody else meanwhile. Raises LakeError.

        On an object store it is kept open: to bring it up to date takes two requests and one for each new commit, to
        open it takes two for each commit since its last checkpoint.
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
                kept.table = None  # Removed or made anew since: opened as if for the first time.
            kept.table = kept.table or self.open_table(table)
            yield kept.table

    def append(self, row_class: Any, rows: Sequence[Any], unit: str) -> Part:
        """Write `rows` as one part and commit it as the unit of work `unit`.

        Raises CommitConflict when that unit is already committed (by this or another process), LakeError when the
        disk is full or the table is damaged. Either way nothing half-written becomes visible.
        """
        part = write_part(self.folder(row_class.table), row_class, rows)
        self.commit(row_class, [part], unit)
        return part

    def commit(self, row_class: Any, parts: Sequence[Part], unit: str) -> None:
        """Make written parts visible, all or none; see `append`."""
        while True:
            try:
                return self._commit_once(row_class, parts, unit)
            except _MetadataChanged:
                continue  # Another process created the table at the same moment; look again.

    def _commit_once(self, row_class: Any, parts: Sequence[Part], unit: str) -> None:
        with self.newest(row_class.table) as found:
            table = self._with_columns(self._create(row_class) if found is None else found, row_class)
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
                    [_add_action(part) for part in parts],
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
                    f"Could not commit to table {row_class.table}: {error}; free space, then run the same command "
                    "again."
                ) from error

    def is_committed(self, table: str, unit: str) -> bool:
        """Whether the unit of work `unit` has been committed to `table`."""
        with self.newest(table) as opened:
            return opened is not None and opened.transaction_version(_in_generation(opened, unit)) is not None

    def snapshot(self, versions: Mapping[str, int] | None = None, *, tables: Sequence[str] | None = None) -> Snapshot:
        """The newest version of every table, or the given ones; a table that has none is left out.

        `tables` limits the newest ones to some: to look at a table costs a few reads. To a catalogue the others are
        empty then.
        """
        found: dict[str, int] = {}
        parts: dict[str, tuple[Location, ...]] = {}
        newest = tables or [row_class.table for row_class in TABLES]
        for name in newest if versions is None else versions:
            with self.newest(name) if versions is None else nullcontext(self.open_table(name, versions[name])) as table:
                if table is not None:
                    found[name] = table.version()
                    parts[name] = tuple(sorted(self.folder(name) / path for path in _paths(table)))
        return Snapshot(found, parts)

    def stored_bytes(self, table: str) -> int:
        """Bytes of the parts of the newest version of a table; 0 when nothing was ever committed to it."""
        with self.newest(table) as opened:
            return 0 if opened is None else sum(opened.get_add_actions(flatten=True).column("size_bytes").to_pylist())

    def pin(self, name: str, versions: Mapping[str, int]) -> None:
        """Keep the parts of `versions` for as long as the pin exists; used by training sets."""
        write_text(self.root / "_pins" / f"{name}.json", json.dumps(dict(versions)))

    def pins(self) -> dict[str, dict[str, int]]:
        """Every pin: its name and the versions it keeps."""
        found = [file.location for file in files_below(self.root / "_pins") if file.location.name.endswith(".json")]
        return {path.name.removesuffix(".json"): json.loads(read_text(path)) for path in found}

    def _create(self, row_class: Any) -> DeltaTable:
        folder, options = str(self.folder(row_class.table)), storage_options(self.root)
        interval = _CHECKPOINT_IN_FOLDER if isinstance(self.root, Path) else _CHECKPOINT_ON_STORE
        try:
            DeltaTable.create(
                folder,
                Schema.from_arrow(schema_of(row_class)),
                mode="ignore",
                configuration=_DELTA_OPTIONS | {"delta.checkpointInterval": interval},
                storage_options=options,
            )
        except CommitFailedError:
            pass  # Another process created it between our look and our try.
        except (DeltaError, OSError) as error:
            raise LakeError(f"Could not create table {row_class.table} below {self.root}: {error}") from error
        return DeltaTable(folder, storage_options=options)

    def _with_columns(self, table: DeltaTable, row_class: Any) -> DeltaTable:
        """The table with the columns that its row class has got since it was created; they are null in older parts."""
        known = {field.name for field in table.schema().fields}
        missing = [field for field in Schema.from_arrow(schema_of(row_class)).fields if field.name not in known]
        if missing:
            try:
                table.alter.add_columns(missing)
            except CommitFailedError:
                pass  # Another process added them at the same moment.
            except (DeltaError, OSError) as error:
                raise LakeError(f"Could not add columns to table {row_class.table}: {error}") from error
            table = DeltaTable(table.table_uri, storage_options=storage_options(self.root))
        return table


@cache
def _open_table(url: str, endpoint: str) -> _OpenTable:
    """The place of this process for a table that is kept open."""
    return _OpenTable()


def _in_generation(table: DeltaTable, unit: str) -> str:
    generation = table.transaction_version(GENERATION)
    return unit if generation is None else f"{unit}#{generation}"


def _paths(table: DeltaTable) -> list[str]:
    return [str(path) for path in table.get_add_actions(flatten=True).column("path").to_pylist()]


def _add_action(part: Part) -> AddAction:
    return AddAction(
        path=part.name,
        size=part.size,
        partition_values={},
        modification_time=int(time.time() * 1000),
        data_change=True,
        stats=json.dumps({"numRecords": part.rows}),
    )
