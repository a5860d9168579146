"""Keeping the lake small and quick: compaction of small parts, removal of what nothing names.

Compaction is one commit that replaces parts by fewer, larger ones with the same rows; old versions still name the
old parts, so a pinned training set reads what it always read. Vacuum removes files that neither the newest version
nor a pinned one names, once they are older than a grace period (a writer may be about to commit them), and what
killed runs left: claims, and rows of unfinished shards.
"""

import time
from dataclasses import dataclass
from itertools import chain

from deltalake.exceptions import DeltaError

from warehouse.errors import LakeError
from warehouse.lake.parts import writer_properties
from warehouse.lake.store import delete, files_below, local_folder
from warehouse.lake.tables import Lake
from warehouse.rows import TABLES
from warehouse.upkeep import claims, journal
from warehouse.upkeep.fsck import orphans

_TARGET_BYTES = 128 << 20
_EXEMPT = {"training_items"}
"""Training sets name the part of their items, so those are never rewritten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compaction:
    """What compaction did to one table."""

    table: str
    parts_before: int
    parts_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Vacuum:
    """What vacuum removed, or would remove."""

    files: int
    size: int


def compact(lake: Lake, *, target_bytes: int = _TARGET_BYTES) -> list[Compaction]:
    """Merge small parts of every table into parts of about `target_bytes`, one commit per table."""
    done = []
    for row_class in TABLES:
        table = lake.open_table(row_class.table)
        if table is None or row_class.table in _EXEMPT:
            continue
        before = len(table.file_uris())
        try:
            table.optimize.compact(target_size=target_bytes, writer_properties=writer_properties(row_class.table))
        except DeltaError as error:
            raise LakeError(
                f"Could not compact table {row_class.table}: {error}; run the same command again."
            ) from error
        done.append(Compaction(table=row_class.table, parts_before=before, parts_after=len(table.file_uris())))
    return done


def vacuum(lake: Lake, *, grace_hours: float = 24.0, dry_run: bool = False) -> Vacuum:
    """Remove files that no version in use names and that are older than the grace period."""
    deadline = time.time() - grace_hours * 3600
    files = size = 0
    leftovers = (lake.root / claims.FOLDER, local_folder(lake.root / journal.FOLDER))
    for file in chain(orphans(lake), *map(files_below, leftovers)):
        if file.modified > deadline:
            continue
        files += 1
        size += file.size
        if not dry_run:
            delete(file.location)
    return Vacuum(files=files, size=size)
