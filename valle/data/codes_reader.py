"""Readers of codes from the Parquet files of the lake: a fast one for training, and one for Lhotse cuts.

A storage key is "<row group>:<row>". Row groups are decoded whole, only the requested columns, and kept in memory until
they are the least recently used; a training set that is larger than the memory is decoded once into mapped files.
"""

import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from lhotse.features.io import FeaturesReader, register_reader

from valle.codec.base import Codes
from valle.data.flat_codes import FlatCodes, flatten, map_flat, write_flat
from warehouse.errors import LakeError, StorageError
from warehouse.lake.store import Location, location_of, open_parquet

logger = logging.getLogger(__name__)
# Mapped files at a time: each holds a file descriptor, of which a process has a thousand by default.
_MAX_MAPS = 512


@dataclass(frozen=True, slots=True, order=True)
class _Key:
    """A row group with the number of codebooks that are decoded of it."""

    file: str
    row_group: int
    num_codebooks: int

    @property
    def file_name(self) -> str:
        """Name of its mapped file: the names of data files are unique, and their content never changes."""
        return f"{Path(self.file).stem}-{self.row_group}-{self.num_codebooks}.codes"


def _read_group(path: Location, row_group: int, num_codebooks: int) -> FlatCodes:
    try:
        with open_parquet(path) as file:
            table = file.read_row_group(row_group, columns=[f"q{k}" for k in range(num_codebooks)])
    except (OSError, pa.ArrowInvalid) as error:
        raise LakeError(f"The codes of {path} cannot be read ({error}); quantize its shard again.") from error
    if table.num_columns < num_codebooks:
        raise LakeError(f"The codes of {path} have {table.num_columns} codebooks, not {num_codebooks}; select again.")
    arrays = [table[name].combine_chunks() for name in table.column_names]
    return flatten([(array.values.to_numpy(), array.offsets.to_numpy().astype(np.int64)) for array in arrays])


class SpilledGroups:
    """Decoded row groups in files of `folder`, at most `max_bytes` of them, mapped when they are read.

    The ranks of a machine and later runs share the files. Without room for another file, or with a disk that cannot
    be written, groups are decoded again and again, which is logged once.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._left = max_bytes - sum(file.stat().st_size for file in folder.glob("*.codes"))
        self._maps: OrderedDict[_Key, FlatCodes] = OrderedDict()

    def find(self, key: _Key) -> FlatCodes | None:
        """Return a group from its file, or None."""
        found = self._maps.get(key) or map_flat(self._folder / key.file_name)
        if found is not None:
            self._maps[key] = found
            self._maps.move_to_end(key)
            if len(self._maps) > _MAX_MAPS:
                self._maps.popitem(last=False)
        return found

    def keep(self, key: _Key, group: FlatCodes) -> None:
        """Write a group that leaves the memory."""
        path = self._folder / key.file_name
        if self._left <= 0 or path.exists():
            return
        self._left -= group.size
        problem = f"the limit of {self._folder} is reached"
        if self._left > 0:
            try:
                write_flat(group, path)
                return
            except StorageError as error:
                problem = str(error)
        self._left = 0
        logger.warning(
            "Codes that do not fit into memory are decoded repeatedly, which is slow (%s): raise cache_megabytes or "
            "disk_cache_gigabytes.",
            problem,
        )


class CodesReader:
    """Reads codes of rows by (data file, row group, row) and keeps up to `cache_bytes` of decoded row groups.

    Groups that leave the memory go to `spilled`, if there is one. Thread-safe.
    """

    def __init__(self, lake: Location, *, cache_bytes: int = 256 << 20, spilled: SpilledGroups | None = None) -> None:
        self._lake = lake
        self._cache_bytes = cache_bytes
        self._spilled = spilled
        self._groups: OrderedDict[_Key, FlatCodes] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()

    def read(
        self, file: str, row_group: int, row: int, *, num_codebooks: int, start: int = 0, stop: int | None = None
    ) -> Codes:
        """Read frames `start` to `stop` of the first `num_codebooks` codebooks of one row: int16 [K', T].

        `file` is a data file relative to the lake. The codes are not to be written to. Raises LakeError when they
        cannot be read.
        """
        key = _Key(file, row_group, num_codebooks)
        with self._lock:
            group = self._groups.get(key)
            if group is not None:
                self._groups.move_to_end(key)
            else:
                group = (self._spilled.find(key) if self._spilled is not None else None) or self._decode(key)
        return group.row(row, num_codebooks=num_codebooks, start=start, stop=stop)

    def _decode(self, key: _Key) -> FlatCodes:
        group = _read_group(self._lake / key.file, key.row_group, key.num_codebooks)
        self._groups[key] = group
        self._held += group.size
        # The group just read stays, however large it is: its rows are requested one by one.
        while self._held > self._cache_bytes and len(self._groups) > 1:
            oldest, left = self._groups.popitem(last=False)
            self._held -= left.size
            if self._spilled is not None:
                self._spilled.keep(oldest, left)
        return group


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
