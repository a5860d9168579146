"""What a shard has done before it commits: its rows, batch by batch, so that a kill loses one batch and not the shard.

A shard is up to an hour of speech and one commit. Until then its rows are kept in a file below the root of the lake,
or of a store's local copies, that goes with the commit. It survives a killed process; what a machine that loses power
had not yet written is done again.
"""

import fcntl
import io
import logging
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import FileIO
from typing import Any, BinaryIO

import pyarrow as pa

from warehouse.lake.arrow import from_table, schema_of, to_table
from warehouse.lake.store import local_folder
from warehouse.lake.tables import Lake

logger = logging.getLogger(__name__)
FOLDER = "_unfinished"
_HEAD = struct.Struct("<QI")  # bytes that follow, and their CRC-32


class Journal:
    """The rows of one unfinished shard; made by `open_journal`."""

    def __init__(self, row_class: Any, file: BinaryIO | FileIO | None) -> None:
        self._row_class = row_class
        self._file = file
        self.rows = self._read()
        """Those of an earlier run, in the order in which they were added."""

    def add(self, rows: Sequence[Any]) -> None:
        """Keep the rows of one batch. Where that is impossible (a full disk) the shard goes on without."""
        if self._file is None:
            return
        frame = _frame(to_table(self._row_class, rows))
        try:
            is_whole = self._file.write(frame) == len(frame)
        except OSError:
            is_whole = False
        if not is_whole:
            logger.warning("There is no space for the rows of an unfinished shard: a kill would lose them.")
            self._file = None

    def _read(self) -> list[Any]:
        """Every whole batch; what a kill cut off is removed from the file."""
        rows: list[Any] = []
        if self._file is None:
            return rows
        self._file.seek(0)
        whole = 0
        while (table := _next_table(self._file)) is not None and table.schema == schema_of(self._row_class):
            rows.extend(from_table(self._row_class, table))
            whole = self._file.tell()
        self._file.truncate(whole)
        return rows


@contextmanager
def open_journal(lake: Lake, row_class: Any, unit: str) -> Iterator[Journal]:
    """The journal of a shard; it is removed when the body ends without an error.

    `unit` is part of a file name. A second process at the same shard gets one that keeps nothing.
    """
    path = local_folder(lake.root / FOLDER) / f"{unit}.rows"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Without a buffer: what a full disk refuses must not be tried again when the file is closed.
        file = path.open("a+b", buffering=0)
    except OSError as error:
        logger.debug("no journal: %s", error)
        yield Journal(row_class, None)
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield Journal(row_class, None)
            return
        yield Journal(row_class, file)
        with suppress(OSError):
            path.unlink()


def forget_unfinished(lake: Lake) -> None:
    """Remove every journal, so that nothing of an unfinished shard is taken over."""
    for path in local_folder(lake.root / FOLDER).glob("*.rows"):
        path.unlink(missing_ok=True)


def _frame(table: pa.Table) -> bytes:
    content = io.BytesIO()
    with pa.ipc.new_stream(content, table.schema) as writer:
        writer.write_table(table)
    return _HEAD.pack(content.tell(), zlib.crc32(content.getbuffer())) + content.getvalue()


def _next_table(file: BinaryIO | FileIO) -> pa.Table | None:
    """The next batch, or None at the end and where the file goes on with something that is none."""
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    size, checksum = _HEAD.unpack(head)
    content = file.read(size)
    if len(content) < size or zlib.crc32(content) != checksum:
        return None
    with pa.ipc.open_stream(content) as reader:
        return reader.read_all()
