"""Keep the finished batches of a shard that is not yet committed, so that a kill loses one batch and not the shard.

A shard is up to an hour of speech and one commit. Until then its rows are in a file below the root of the lake, or of
a store's local copies, that is removed after the commit. It survives a killed process; batches that a power cut loses
are processed again.
"""

from __future__ import annotations

import io
import logging
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Generic

import pyarrow as pa
from filelock import FileLock, Timeout

from warehouse.lake.arrow import RowT, from_table, num_spread_of, schema_of, to_table
from warehouse.lake.store import local_folder

if TYPE_CHECKING:
    from warehouse.lake.tables import Lake

logger = logging.getLogger(__name__)
FOLDER = "_unfinished"
_HEAD = struct.Struct("<QI")  # bytes that follow, and their CRC-32


class Journal(Generic[RowT]):
    """The rows of one unfinished shard; made by `open_journal`."""

    def __init__(self, row_class: type[RowT], file: BinaryIO | FileIO | None) -> None:
        self._row_class = row_class
        self._file = file
        self.rows = self._read()
        """The rows of an earlier run, in the order in which they were added."""

    def add(self, rows: Sequence[RowT]) -> None:
        """Append the rows of one batch. On a full disk the shard continues without a journal."""
        if self._file is None:
            return
        frame = _frame(to_table(self._row_class, rows))
        try:
            is_whole = self._file.write(frame) == len(frame)
        except OSError:
            is_whole = False
        if not is_whole:
            logger.warning("The disk is full: a kill would lose the finished batches of this shard.")
            self._file = None

    def _read(self) -> list[RowT]:
        """Return the rows of every whole batch; remove from the file what a kill cut off."""
        rows: list[RowT] = []
        if self._file is None:
            return rows
        self._file.seek(0)
        whole = 0
        while (table := _next_table(self._file)) is not None and self._is_of_row_class(table):
            rows.extend(from_table(self._row_class, table))
            whole = self._file.tell()
        self._file.truncate(whole)
        return rows

    def _is_of_row_class(self, table: pa.Table) -> bool:
        return bool(table.schema == schema_of(self._row_class, num_spread_of(self._row_class, table.schema)))


@contextmanager
def open_journal(lake: Lake, row_class: type[RowT], unit: str) -> Iterator[Journal[RowT]]:
    """Open the journal of a shard; remove it when the body ends without an error.

    `unit` is used in file names. A second process at the same shard gets a journal that stores nothing.
    """
    path = local_folder(lake.root / FOLDER) / f"{unit}.rows"
    lock = FileLock(path.with_suffix(".lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except (OSError, Timeout) as error:
        logger.debug("no journal: %s", error)
        yield Journal(row_class, None)
        return
    try:
        yield from _journal_in(path, row_class)
    finally:
        # Removed while it is held: a waiting process notices that the file it locked has no name any more.
        with suppress(OSError):
            Path(lock.lock_file).unlink()
        lock.release()


def _journal_in(path: Path, row_class: type[RowT]) -> Iterator[Journal[RowT]]:
    try:
        # Without a buffer: what a full disk refuses must not be written again when the file is closed.
        file = path.open("a+b", buffering=0)
    except OSError as error:
        logger.debug("no journal: %s", error)
        yield Journal(row_class, None)
        return
    with file:
        yield Journal(row_class, file)
    with suppress(OSError):
        path.unlink()


def forget_unfinished(lake: Lake) -> None:
    """Remove every journal, so that every unfinished shard begins again."""
    for path in local_folder(lake.root / FOLDER).glob("*.rows"):
        path.unlink(missing_ok=True)


def _frame(table: pa.Table) -> bytes:
    content = io.BytesIO()
    with pa.ipc.new_stream(content, table.schema) as writer:
        writer.write_table(table)
    return _HEAD.pack(content.tell(), zlib.crc32(content.getbuffer())) + content.getvalue()


def _next_table(file: BinaryIO | FileIO) -> pa.Table | None:
    """Return the next batch; None at the end and before bytes that are no whole batch."""
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    size, checksum = _HEAD.unpack(head)
    content = file.read(size)
    if len(content) < size or zlib.crc32(content) != checksum:
        return None
    with pa.ipc.open_stream(content) as reader:
        return reader.read_all()
