"""Write one immutable Parquet data file so that it exists whole or not at all.

Dictionary encoding stores a 10-bit code in 10 bits (Parquet has no 16-bit type), so it is on for every column. Data
files of codes have smaller row groups (some hours of speech), because training reads shuffled groups whole. The name
of a file is the hash of its bytes, and every page has a checksum: damage is found by `valle lake fsck` and by readers.
"""

import hashlib
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import ColumnProperties, WriterProperties

from warehouse.files import publish, temporary_beside
from warehouse.lake.arrow import TableRow, num_spread_of, to_table
from warehouse.lake.store import Location, upload

ROW_GROUP = {"codes": 1600}
"""Rows of a row group, by table; `ROWS_IN_GROUP` for the other tables."""
ROWS_IN_GROUP = 65_536
# Frames of a row group of codes, at least. Each group repeats the dictionaries (4 KB a codebook before compression) and
# costs a reader of ids as much as a thousand rows; decoded it occupies 19 MB.
_GROUP_FRAMES = 1_200_000
# A column of a group is one page: a group is decoded whole, and each further page starts its compression afresh.
_PAGE_BYTES = 8 << 20
_DICTIONARY_BYTES = 4 << 20
# Smallest ids for their time: level 3 needs a tenth more for them, level 9 and up no less.
_ZSTD_LEVEL = 6

Encoding = Literal["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"]

_NAME = re.compile(r"part-([0-9a-f]{24})\.parquet")
# 96 bits of SHA-256: two contents of a lake never share a name by chance.
_NAME_DIGITS = 24


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file of a table: `name` is relative to the table's folder.

    `num_spread` is the number of columns of the one field of lists of lists (see `OneColumnEach`), 0 without one.
    """

    name: str
    rows: int
    size: int
    num_spread: int = 0


def write_rows(folder: Location, row_class: type[TableRow], rows: Sequence[TableRow]) -> DataFile:
    """Write `rows`, sorted by the key of their class, as one data file below `folder`.

    The name is the hash of the content, so writing the same rows again gives the same file. Raises StorageError when
    the disk is full or the folder cannot be written; no half-written file remains.
    """
    ordered = sorted(rows, key=lambda row: (getattr(row, row_class.key), getattr(row, "fingerprint", "")))
    return write_table(folder, row_class, to_table(row_class, ordered))


def write_table(folder: Location, row_class: type[TableRow], table: pa.Table) -> DataFile:
    """Write an Arrow table with rows of `row_class` as one data file; see `write_rows`."""
    return write_tables(folder, row_class, table.schema, [table], rows_in_group=_rows_in_group(row_class.table, table))


def write_tables(
    folder: Location,
    row_class: type[TableRow],
    schema: pa.Schema,
    tables: Iterable[pa.Table],
    *,
    rows_in_group: int = ROWS_IN_GROUP,
) -> DataFile:
    """Write tables of one schema, in the order of the key, as one data file; one of them is in memory at a time."""
    if isinstance(folder, Path):
        return _write_tables(folder, row_class, schema, tables, rows_in_group)
    with tempfile.TemporaryDirectory(prefix="valle-data-file-") as directory:
        written = _write_tables(Path(directory), row_class, schema, tables, rows_in_group)
        upload(Path(directory) / written.name, folder / written.name)
    return written


def _write_tables(
    folder: Path, row_class: type[TableRow], schema: pa.Schema, tables: Iterable[pa.Table], rows_in_group: int
) -> DataFile:
    unique, rows = _unique_columns(row_class), 0
    with temporary_beside(folder / "part.parquet") as temporary:
        with pq.ParquetWriter(
            temporary,
            schema,
            compression="zstd",
            compression_level=_ZSTD_LEVEL,
            use_dictionary=[path for field in schema if field.name not in unique for path in _leaves(field)],
            column_encoding=unique,
            data_page_size=_PAGE_BYTES,
            dictionary_pagesize_limit=_DICTIONARY_BYTES,
            write_statistics=True,
            write_page_checksum=True,
        ) as writer:
            for table in tables:
                writer.write_table(table, row_group_size=rows_in_group)
                rows += table.num_rows
        target = folder / f"part-{_hash_of(temporary)[:_NAME_DIGITS]}.parquet"
        publish(temporary, target)
    return DataFile(target.name, rows, target.stat().st_size, num_spread_of(row_class, schema))


def _rows_in_group(table_name: str, table: pa.Table) -> int:
    rows = ROW_GROUP.get(table_name, ROWS_IN_GROUP)
    if "num_frames" not in table.column_names or table_name not in ROW_GROUP:
        return rows
    # Only writers need it, and every query would pay 0.15 s for the import.
    import pyarrow.compute as pc

    frames = pc.sum(table["num_frames"]).as_py() or 1
    return max(rows, _GROUP_FRAMES * table.num_rows // frames)


def _unique_columns(row_class: type[TableRow]) -> dict[str, Encoding]:
    """Return the columns of which every row has another string, and their encodings.

    Ids are sorted and share beginnings; fingerprints are random. A dictionary would add an index to each.
    """
    encodings: dict[str, Encoding] = {row_class.key: "DELTA_BYTE_ARRAY"}
    if "fingerprint" in row_class.__dataclass_fields__:
        encodings["fingerprint"] = "DELTA_LENGTH_BYTE_ARRAY"
    return encodings


def _leaves(field: pa.Field, prefix: str = "") -> Iterator[str]:
    """Yield the paths of the Parquet columns of a field, such as `q0.list.element`."""
    path = f"{prefix}{field.name}"
    if pa.types.is_list(field.type):
        yield from _leaves(field.type.value_field.with_name("element"), f"{path}.list.")
    elif pa.types.is_struct(field.type):
        for index in range(field.type.num_fields):
            yield from _leaves(field.type.field(index), f"{path}.")
    else:
        yield path


def writer_properties(row_class: type[TableRow]) -> WriterProperties:
    """Return the encoding of `write_table` for data files that the Delta library rewrites itself."""
    return WriterProperties(
        compression="ZSTD",
        compression_level=_ZSTD_LEVEL,
        max_row_group_size=ROW_GROUP.get(row_class.table, ROWS_IN_GROUP),
        data_page_size_limit=_PAGE_BYTES,
        dictionary_page_size_limit=_DICTIONARY_BYTES,
        default_column_properties=ColumnProperties(dictionary_enabled=True),
        column_properties={
            name: ColumnProperties(dictionary_enabled=False, encoding=encoding)
            for name, encoding in _unique_columns(row_class).items()
        },
    )


def hash_in_name(name: str) -> str | None:
    """Return the digits of the content hash in the name of a data file, None for a file that Delta rewrote."""
    match = _NAME.fullmatch(name)
    return None if match is None else match[1]


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
