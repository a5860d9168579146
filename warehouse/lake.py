"""The lake: one Delta table per row class, of immutable Parquet parts, committed atomically by many processes.

A writer makes a part (warehouse/parts.py) and appends it in one short transaction. The transaction carries the name
of the unit of work it completes; Delta lets one commit per name through, so two workers that did the same work leave
one copy of it. What no commit names does not exist for readers; `vacuum` removes it later.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction

from warehouse.arrow import schema_of
from warehouse.errors import CommitConflict, LakeError
from warehouse.parts import Part, write_part
from warehouse.rows import TABLES

_DELTA_OPTIONS = {
    "delta.checkpointInterval": "100",
    # A training set may pin a version for years, so the log is never cut.
    "delta.logRetentionDuration": "interval 36500 days",
}
_COMMIT_ATTEMPTS = 100
GENERATION = "generation"
"""Counts, in a table's log, how often rows were deleted to be made again (warehouse/retry.py)."""


class _MetadataChanged(Exception):
    """The table was created, or its schema extended, between our look and our commit."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of every table: `versions` by table name, `parts` the files of those versions."""

    versions: dict[str, int]
    parts: dict[str, tuple[Path, ...]]


@dataclass(frozen=True, slots=True)
class Lake:
    """A folder of Delta tables, one for each class in `warehouse.rows.TABLES`."""

    root: Path

    def folder(self, table: str) -> Path:
        """Where a table lies."""
        return self.root / table

    def open_table(self, table: str, version: int | None = None) -> DeltaTable | None:
        """The Delta table, or None when nothing was ever committed to it.

        Raises LakeError when the table is damaged or the version does not exist.
        """
        try:
            return DeltaTable(self.folder(table), version=version)
        except TableNotFoundError:
            return None
        except DeltaError as error:
            raise LakeError(f"Table {table} of {self.root} cannot be opened ({error}); run `valle fsck`.") from error

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
        table = self._open_or_create(row_class)
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
                f"Could not commit to table {row_class.table}: {error}; free space, then run the same command again."
            ) from error

    def is_committed(self, table: str, unit: str) -> bool:
        """Whether the unit of work `unit` has been committed to `table`."""
        opened = self.open_table(table)
        return opened is not None and opened.transaction_version(_in_generation(opened, unit)) is not None

    def snapshot(self, versions: Mapping[str, int] | None = None) -> Snapshot:
        """The newest version of every table, or the given ones; a table that has none is left out."""
        found: dict[str, int] = {}
        parts: dict[str, tuple[Path, ...]] = {}
        for name in [row_class.table for row_class in TABLES] if versions is None else versions:
            table = self.open_table(name, (versions or {}).get(name))
            if table is not None:
                found[name] = table.version()
                parts[name] = tuple(sorted(self.folder(name) / path for path in _paths(table)))
        return Snapshot(found, parts)

    def stored_bytes(self, table: str) -> int:
        """Bytes of the parts of the newest version of a table; 0 when nothing was ever committed to it."""
        opened = self.open_table(table)
        return 0 if opened is None else sum(opened.get_add_actions(flatten=True).column("size_bytes").to_pylist())

    def pin(self, name: str, versions: Mapping[str, int]) -> None:
        """Keep the parts of `versions` for as long as the pin exists; used by training sets."""
        folder = self.root / "_pins"
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{name}.tmp"
        temporary.write_text(json.dumps(dict(versions)), encoding="utf-8")
        temporary.replace(folder / f"{name}.json")

    def pins(self) -> dict[str, dict[str, int]]:
        """Every pin: its name and the versions it keeps."""
        return {
            path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(self.root.glob("_pins/*.json"))
        }

    def _open_or_create(self, row_class: Any) -> DeltaTable:
        folder = self.folder(row_class.table)
        table = self.open_table(row_class.table)
        if table is None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                schema = Schema.from_arrow(schema_of(row_class))
                DeltaTable.create(folder, schema, mode="ignore", configuration=_DELTA_OPTIONS)
            except CommitFailedError:
                pass  # Another process created it between our look and our try.
            except (DeltaError, OSError) as error:
                raise LakeError(f"Could not create table {row_class.table} below {self.root}: {error}") from error
            table = DeltaTable(folder)
        return _with_columns(table, row_class)


def _with_columns(table: DeltaTable, row_class: Any) -> DeltaTable:
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
        table = DeltaTable(table.table_uri)
    return table


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
