"""Merge small data files, and remove the files that nothing names.

Compaction is one commit that replaces data files by fewer, larger ones with the same rows; old versions still name the
old files, so a pinned training set reads what it always read. Vacuum removes files that neither the newest version
nor a pinned one names. It spares those of a grace period, because a writer may be about to commit them and a reader
may still read what was replaced a moment ago. It also removes what killed runs left: claims, journals and reader pins.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

from deltalake.exceptions import DeltaError

from warehouse.errors import LakeError
from warehouse.lake.data_files import writer_properties
from warehouse.lake.store import StoredFile, delete, files_below, local_folder, read_text
from warehouse.lake.tables import READER_PIN, Lake, one_line
from warehouse.tables import TABLES
from warehouse.upkeep import claims, journal
from warehouse.upkeep.checksums import checksum_folder, record_checksums
from warehouse.upkeep.fsck import orphans

# Large files are few to open, small ones are quick to rewrite; Delta's own default is the same order.
_TARGET_BYTES = 128 << 20
# Training sets name the data file of their items, so those are never rewritten.
_EXEMPT = {"training_items"}
# A file that was written so lately without a commit may be committed next; a claim, a journal and a pin may be in use.
_SECONDS_OF_A_WRITER = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Compaction:
    """The number of data files of a table before and after compaction."""

    table: str
    files_before: int
    files_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Vacuum:
    """The files that vacuum removed, or would remove, and their bytes."""

    files: int
    size: int


def compact(lake: Lake, *, target_bytes: int = _TARGET_BYTES) -> list[Compaction]:
    """Merge small data files of every table into files of about `target_bytes`, one commit per table."""
    done = []
    for row_class in TABLES:
        table = lake.open_table(row_class.table)
        if table is None or row_class.table in _EXEMPT:
            continue
        before = len(table.file_uris())
        try:
            table.optimize.compact(target_size=target_bytes, writer_properties=writer_properties(row_class))
        except DeltaError as error:
            raise LakeError(
                f"Could not compact table {row_class.table} ({one_line(error)}); run the same command again."
            ) from error
        record_checksums(lake, row_class.table)
        done.append(Compaction(table=row_class.table, files_before=before, files_after=len(table.file_uris())))
    return done


def vacuum(lake: Lake, *, grace_hours: float = 24.0, dry_run: bool = False) -> Vacuum:
    """Remove files that no version in use names and that nothing has named within the grace period.

    What a run may be using, such as files that are not committed yet, stays for an hour, however short the period is.
    """
    deadline = time.time() - grace_hours * 3600
    _release_reader_pins(lake, deadline, dry_run=dry_run)
    files = size = 0
    for file in _removable(lake, deadline):
        files += 1
        size += file.size
        if not dry_run:
            delete(file.location)
    return Vacuum(files=files, size=size)


def _removable(lake: Lake, deadline: float) -> Iterator[StoredFile]:
    """Yield orphans that were written and taken out of their table before `deadline`, and old leftovers of runs."""
    unused_since = min(deadline, time.time() - _SECONDS_OF_A_WRITER)
    replaced, lately = _all_taken_out(lake, deadline), _all_taken_out(lake, unused_since)
    for file in orphans(lake):
        name = (file.location.parent.name, file.location.name)
        was_committed = file.modified <= unused_since or name in lately
        if file.modified <= deadline and name not in replaced and was_committed:
            yield file
    for folder in (lake.root / claims.FOLDER, local_folder(lake.root / journal.FOLDER)):
        yield from (file for file in files_below(folder) if file.modified <= unused_since)
    for row_class in TABLES:
        # The checksum of a data file that an earlier vacuum removed.
        names = {file.location.name for file in files_below(lake.folder(row_class.table))}
        for file in files_below(checksum_folder(lake, row_class.table)):
            if file.location.name.removesuffix(".sha256") not in names:
                yield file


def _all_taken_out(lake: Lake, deadline: float) -> set[tuple[str, str]]:
    return {(row_class.table, name) for row_class in TABLES for name in _taken_out(lake, row_class.table, deadline)}


def _taken_out(lake: Lake, table: str, deadline: float) -> Iterator[str]:
    """Yield the names of data files that a commit after `deadline` took out of a table.

    The entry of a commit in the log is written at the time of the removal, regardless of the age of the data file.
    """
    for entry in files_below(lake.folder(table) / "_delta_log"):
        if not entry.location.name.endswith(".json") or entry.modified <= deadline:
            continue
        for line in read_text(entry.location).splitlines():
            if (removal := json.loads(line).get("remove")) is not None:
                yield removal["path"]


def _release_reader_pins(lake: Lake, deadline: float, *, dry_run: bool) -> None:
    """Remove the pins that readers left when they were killed before `deadline`."""
    deadline = min(deadline, time.time() - _SECONDS_OF_A_WRITER)
    for file in files_below(lake.root / "_pins"):
        if file.location.name.startswith(READER_PIN) and file.modified <= deadline and not dry_run:
            delete(file.location)
