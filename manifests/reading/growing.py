"""Add clips to a corpus of synthetic speech: a table of clips beside a folder of Ogg Opus.

A clip is written under a temporary name and synced before its row is: the process can be killed anywhere.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import soundfile
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from manifests.corpora.synthetic import COLUMNS, TABLE, ClipRow, parse_table
from warehouse.errors import ConfigurationError, ManifestError
from warehouse.files import atomic_write, remove_leftovers

Samples = NDArray[np.float32]

_KILOBITS = 32


class GrowingCorpus:
    """The rows of a corpus so far, and the means to add more; opened by `grow_corpus`."""

    def __init__(self, out: Path, table: IO[bytes]) -> None:
        self._out = out
        self._table = table
        self.rows = self._read()

    def add(self, row: ClipRow, samples: Samples, rate: int) -> None:
        """Write a clip to `row.file`, then its row."""
        _write_opus(self._out / row.file, samples, rate)
        self._append("\t".join(getattr(row, column) for column in COLUMNS))
        self.rows.append(row)

    def _read(self) -> list[ClipRow]:
        """Return the rows of the table, and truncate a last row that a kill has left unfinished."""
        self._table.seek(0)
        content = self._table.read()
        complete = content.rfind(b"\n") + 1
        self._table.truncate(complete)
        if complete == 0:
            self._append("\t".join(COLUMNS))
        rows = parse_table(content[:complete].decode())
        for row in rows:
            if not (self._out / row.file).is_file():
                raise ManifestError(
                    f"{row.file} of {self._out / TABLE} is missing: delete its row, and the clip is synthesized again."
                )
        return rows

    def _append(self, line: str) -> None:
        self._table.write(f"{line}\n".encode())
        self._table.flush()
        os.fsync(self._table.fileno())


@contextmanager
def grow_corpus(out: Path) -> Iterator[GrowingCorpus]:
    """Open the corpus in a folder, new or begun, for this process alone.

    Raises ConfigurationError while another process writes to the folder, ManifestError for a table of another form or
    one that names a missing file.
    """
    (out / "audio").mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / f".{TABLE}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ConfigurationError(f"Another process writes {out / TABLE}: wait for its end, or end it.") from error
    try:
        # A killed process leaves the clip that it was writing; under the lock no other process writes one.
        remove_leftovers(out / "audio")
        with (out / TABLE).open("a+b") as table:
            yield GrowingCorpus(out, table)
    finally:
        lock.release()


def _write_opus(path: Path, samples: Samples, rate: int) -> None:
    with atomic_write(path) as temporary, temporary.open("wb") as handle:
        # libsndfile turns the compression level into 6 to 256 kbit/s per channel.
        level = 1.0 - (_KILOBITS - 6) / 250
        soundfile.write(handle, samples, rate, format="OGG", subtype="OPUS", compression_level=level)
