"""Decoded row groups of codes as flat arrays, in memory or in a file that is mapped.

A row is one slice: its codebooks one after the other, each with the codes of all frames. So the first codebooks of a
row are the start of its slice, and a file is read where the row is and nowhere else. Layout of a file: the number of
codebooks and of rows, then the start [rows + 1] of each row, all int64, then the codes, int16.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from valle.codec.base import Codes
from warehouse.errors import LakeError
from warehouse.files import atomic_write

_HEADER = 2


@dataclass(frozen=True, slots=True)
class FlatCodes:
    """The codes of the rows of a row group, `values[starts[r] : starts[r + 1]]` those of row r."""

    num_codebooks: int
    starts: NDArray[np.int64]
    values: NDArray[np.int16]

    @property
    def size(self) -> int:
        """Number of bytes."""
        return self.starts.nbytes + self.values.nbytes

    def row(self, row: int, *, num_codebooks: int, start: int = 0, stop: int | None = None) -> Codes:
        """Slice frames `start` to `stop` of the first codebooks of a row: [K', stop - start], without a copy.

        Raises LakeError for a row that has fewer codebooks than the group was decoded with.
        """
        codes = self.values[self.starts[row] : self.starts[row + 1]]
        if not len(codes):
            raise LakeError(f"Row {row} has fewer than {self.num_codebooks} codebooks; select again.")
        return codes.reshape(self.num_codebooks, -1)[:num_codebooks, start:stop]


def flatten(columns: Sequence[tuple[NDArray[np.int16], NDArray[np.int64]]]) -> FlatCodes:
    """Join columns, one per codebook, each as values and the start [rows + 1] of each row.

    A row with a null codebook, of a codec with fewer, becomes empty.
    """
    lengths = np.stack([np.diff(starts) for _, starts in columns])
    is_whole = (lengths == lengths[0]).all(axis=0)
    slices = [
        values[starts[row] : starts[row + 1]] for row in np.flatnonzero(is_whole).tolist() for values, starts in columns
    ]
    counts = np.where(is_whole, lengths.sum(axis=0), 0)
    flat = np.concatenate(slices) if slices else np.zeros(0, np.int16)
    return FlatCodes(len(columns), np.concatenate([[0], np.cumsum(counts)]), flat)


def write_flat(codes: FlatCodes, path: Path) -> None:
    """Write a group to a file. Raises StorageError when the disk is full or the folder cannot be written."""
    header = np.array([codes.num_codebooks, len(codes.starts) - 1], np.int64)
    # Not durable: a file that a power cut shortens is refused by its size and written again.
    with atomic_write(path, durable=False) as temporary, temporary.open("wb") as file:
        for array in (header, codes.starts, codes.values):
            file.write(array.tobytes())


def map_flat(path: Path) -> FlatCodes | None:
    """Map the file of a group; None where there is none, or none of the right size."""
    try:
        words = np.memmap(path, np.int64, "r", shape=(_HEADER,))
        num_codebooks, num_rows = (int(word) for word in words)
        starts = np.fromfile(path, np.int64, num_rows + 1, offset=words.nbytes)
        offset = words.nbytes + starts.nbytes
        if len(starts) != num_rows + 1 or path.stat().st_size != offset + 2 * starts[-1]:
            return None
        values = np.memmap(path, np.int16, "r", offset=offset) if starts[-1] else np.zeros(0, np.int16)
    except (OSError, ValueError):
        return None
    # A plain array over the map: slices of `memmap` objects are slower.
    return FlatCodes(num_codebooks, starts, values.view(np.ndarray))
