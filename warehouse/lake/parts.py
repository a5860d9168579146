"""Writing one immutable Parquet part so that it either exists whole or not at all.

Dictionary encoding is what stores a 10-bit code in 10 bits (Parquet has no 16-bit type), so it is on for every
column; code parts use smaller groups (some hours of speech) because training reads shuffled groups whole.
"""

import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import ColumnProperties, WriterProperties

from warehouse.errors import LakeError
from warehouse.lake.arrow import to_table
from warehouse.lake.store import Location, upload

ROW_GROUP = {"codes": 1600}
"""Rows in a group, by table; 65,536 where nothing is said."""
_GROUP_FRAMES = 1_200_000
"""Frames in a group of codes, at least: each group repeats the dictionaries (4 KB a codebook before compression) and
costs a reader of ids as much as a thousand rows; decoded it takes 19 MB."""


@dataclass(frozen=True, slots=True)
class Part:
    """A Parquet file of a table: `name` is relative to the table's folder."""

    name: str
    rows: int
    size: int


def write_part(folder: Location, row_class: Any, rows: Sequence[Any]) -> Part:
    """Write `rows` (sorted by the key of their class) as one part below `folder` and return what was written.

    The name is the hash of the content, so writing the same rows again gives the same file.
    Raises LakeError when the disk is full or the folder cannot be written; no half-written file stays.
    """
    ordered = sorted(rows, key=lambda row: (getattr(row, row_class.key), getattr(row, "fingerprint", "")))
    return write_table(folder, row_class.table, to_table(row_class, ordered))


def write_table(folder: Location, table_name: str, table: pa.Table) -> Part:
    """Write an Arrow table of the table `table_name` as one part; see `write_part`."""
    if isinstance(folder, Path):
        return _write_table(folder, table_name, table)
    with tempfile.TemporaryDirectory(prefix="valle-part-") as directory:
        part = _write_table(Path(directory), table_name, table)
        upload(Path(directory) / part.name, folder / part.name)
    return part


def _write_table(folder: Path, table_name: str, table: pa.Table) -> Part:
    temporary = folder / f".{os.getpid()}-{os.urandom(6).hex()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(
            table,
            temporary,
            compression="zstd",
            compression_level=3,
            use_dictionary=True,
            dictionary_pagesize_limit=1 << 22,
            row_group_size=_rows_in_group(table_name, table),
            write_statistics=True,
        )
        digest = _flush_and_hash(temporary)
        target = folder / f"part-{digest[:24]}.parquet"
        temporary.replace(target)
        _flush_folder(folder)
    except OSError as error:
        raise LakeError(
            f"Could not write a part below {folder}: {error.strerror or error}; "
            "free space, then run the same command again."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return Part(target.name, table.num_rows, target.stat().st_size)


def _rows_in_group(table_name: str, table: pa.Table) -> int:
    rows = ROW_GROUP.get(table_name, 65536)
    if "num_frames" not in table.column_names or table_name not in ROW_GROUP:
        return rows
    frames = pc.sum(table["num_frames"]).as_py() or 1
    return max(rows, _GROUP_FRAMES * table.num_rows // frames)


def writer_properties(table_name: str) -> WriterProperties:
    """The encoding of `write_table` for parts that the Delta library rewrites itself."""
    return WriterProperties(
        compression="ZSTD",
        compression_level=3,
        max_row_group_size=ROW_GROUP.get(table_name, 65536),
        dictionary_page_size_limit=1 << 22,
        default_column_properties=ColumnProperties(dictionary_enabled=True),
    )


def _flush_and_hash(path: Path) -> str:
    with path.open("rb+") as handle:
        os.fsync(handle.fileno())
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
