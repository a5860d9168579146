"""Long columns in mapped files: a process has the pages that it reads, and the system takes them back when it must.

A training set of ten million utterances has a billion phonemes. A column is written once, piece by piece; its file
loses its name when it is mapped, so that a process that is killed later leaves nothing behind.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from warehouse.files import temporary_beside

NumberT = TypeVar("NumberT", bound=np.generic)


def map_numbers(pieces: Iterable[NDArray[NumberT]], dtype: type[NumberT], folder: Path | None) -> NDArray[NumberT]:
    """Join arrays of numbers: in a mapped file of `folder`, or in memory without one.

    Raises StorageError when the disk is full.
    """
    if folder is None:
        return np.concatenate([np.zeros(0, dtype), *pieces])
    with temporary_beside(folder / "column.bin") as path:
        with path.open("wb") as file:
            for piece in pieces:
                file.write(np.ascontiguousarray(piece, dtype).data)
        # A plain array over the map: slices of `memmap` objects are slower. An empty file cannot be mapped.
        return np.memmap(path, dtype, "r").view(np.ndarray) if path.stat().st_size else np.zeros(0, dtype)


def map_table(tables: Iterable[pa.Table], folder: Path | None) -> pa.Table:
    """Join tables of one schema, of which there is at least one: in a mapped file of `folder`, or in memory."""
    if folder is None:
        return pa.concat_tables(tables)
    with temporary_beside(folder / "columns.arrow") as path:
        _write(iter(tables), path)
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def _write(tables: Iterator[pa.Table], path: Path) -> None:
    first = next(tables)
    with pa.ipc.new_file(str(path), first.schema) as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)
