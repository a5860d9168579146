"""Readers of codes from the Parquet files of the lake: a fast one for training, and one for Lhotse cuts.

A storage key is "<row group>:<row>". Row groups are decoded whole, only the requested columns, and cached until they
are the least recently used; the AR reads one eighth of the bytes.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
from lhotse.features.io import FeaturesReader, register_reader
from numpy.typing import NDArray

from valle.codec.base import Codes
from warehouse.errors import LakeError
from warehouse.lake.store import Location, location_of, open_parquet


@dataclass(frozen=True, slots=True)
class _Column:
    values: NDArray[np.int16]
    starts: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Group:
    columns: tuple[_Column, ...]
    size: int  # bytes

    def codes(self, row: int, start: int, stop: int | None) -> Codes:
        """Slice the codes [K', stop - start] of one row."""
        parts = []
        for column in self.columns:
            first, last = int(column.starts[row]), int(column.starts[row + 1])
            parts.append(column.values[first + start : last if stop is None else min(first + stop, last)])
        return np.stack(parts)


def _read_group(path: Location, row_group: int, num_codebooks: int) -> _Group:
    try:
        with open_parquet(path) as file:
            table = file.read_row_group(row_group, columns=[f"q{k}" for k in range(num_codebooks)])
    except (OSError, pa.ArrowInvalid) as error:
        raise LakeError(f"The codes of {path} cannot be read ({error}); quantize its shard again.") from error
    columns = []
    if table.num_columns < num_codebooks:
        raise LakeError(f"The codes of {path} have {table.num_columns} codebooks, not {num_codebooks}; select again.")
    for name in table.column_names:
        array = table[name].combine_chunks()
        columns.append(_Column(array.values.to_numpy(), array.offsets.to_numpy().astype(np.int64)))
    return _Group(tuple(columns), sum(column.values.nbytes + column.starts.nbytes for column in columns))


class CodesReader:
    """Reads codes of rows by (data file, row group, row) and caches up to `cache_bytes` of decoded row groups.

    Thread-safe.
    """

    def __init__(self, lake: Location, *, cache_bytes: int = 256 << 20) -> None:
        self._lake = lake
        self._cache_bytes = cache_bytes
        self._groups: OrderedDict[tuple[str, int, int], _Group] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()

    def read(
        self, part: str, row_group: int, row: int, *, num_codebooks: int, start: int = 0, stop: int | None = None
    ) -> Codes:
        """Read frames `start` to `stop` of the first `num_codebooks` codebooks of one row: int16 [K', T].

        `part` is a data file relative to the lake. Raises LakeError when it cannot be read.
        """
        key = (part, row_group, num_codebooks)
        with self._lock:
            group = self._groups.get(key)
            if group is None:
                group = _read_group(self._lake / part, row_group, num_codebooks)
                self._groups[key] = group
                self._held += group.size
                # The group just read stays, however large it is: its rows are requested one by one.
                while self._held > self._cache_bytes and len(self._groups) > 1:
                    _, oldest = self._groups.popitem(last=False)
                    self._held -= oldest.size
            self._groups.move_to_end(key)
        return group.codes(row, start, stop)


@lru_cache(maxsize=8)
def _num_codebooks(path: str, row_group: int) -> tuple[int | None, ...]:
    """Return the codebooks of each row of a row group; a compacted file may hold codes of several codecs."""
    with open_parquet(location_of(path)) as file:
        return tuple(file.read_row_group(row_group, columns=["num_codebooks"])["num_codebooks"].to_pylist())


@register_reader
class ParquetCodesReader(FeaturesReader):
    """Lhotse's reader of the same codes: `storage_type` "parquet_codes", `storage_path` a data file.

    Keys are "<group>:<row>". An array in Lhotse is [T, K], time first.
    """

    name = "parquet_codes"

    def __init__(self, storage_path: str, *args: object, **kwargs: object) -> None:
        self._path = location_of(storage_path)
        self._reader = CodesReader(self._path.parent)

    def read(self, key: str, left_offset_frames: int = 0, right_offset_frames: int | None = None) -> Codes:
        """Read the codes [T, K] of a row, from `left_offset_frames` up to `right_offset_frames`."""
        row_group, row = (int(number) for number in key.split(":"))
        codes = self._reader.read(
            self._path.name,
            row_group,
            row,
            num_codebooks=_num_codebooks(str(self._path), row_group)[row] or 0,
            start=left_offset_frames,
            stop=right_offset_frames,
        )
        return np.ascontiguousarray(codes.T)
