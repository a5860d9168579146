"""Define DuckDB views over one snapshot of the lake.

Views name the data files of the snapshot one by one: rows that are not committed cannot be seen. To define the views of
`warehouse/schema/`, DuckDB binds each of them and every view below it, which takes longer than most queries. So a
process does it once, over empty tables, and copies the result for each snapshot.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from functools import cache
from importlib.resources import files
from multiprocessing.util import Finalize
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from warehouse.catalogue.literals import text_literal
from warehouse.errors import CatalogueError
from warehouse.files import atomic_write
from warehouse.fingerprints import short_hash
from warehouse.lake.arrow import TableRow, schema_of, spread_in
from warehouse.lake.store import Location, ObjectPath, let_read

if TYPE_CHECKING:
    from warehouse.lake.tables import Snapshot

_SQL_TYPES = {
    pa.string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.int32(): "INTEGER",
    pa.int16(): "SMALLINT",
    pa.float64(): "DOUBLE",
    pa.float32(): "FLOAT",
    pa.bool_(): "BOOLEAN",
}


def definition_hash(snapshot: Snapshot) -> str:
    """Return a hash of everything that the views over `snapshot` are made of."""
    tables = [_select(row_class, snapshot) for row_class in _tables()]
    return short_hash("\n".join([duckdb.__version__, repr(snapshot.versions), *tables, *_schema_texts()]))


def _tables() -> Sequence[type[TableRow]]:
    # The classes of all rows take a tenth of the time of a short query, which may need none of them.
    from warehouse.tables import TABLES

    return TABLES


def _schema_texts() -> list[str]:
    resources = sorted(files("warehouse.schema").iterdir(), key=lambda entry: entry.name)
    return [entry.read_text(encoding="utf-8") for entry in resources if entry.name.endswith(".sql")]


def define_views(connection: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> None:
    """Create a view per table and the views of `warehouse/schema/`.

    Raises CatalogueError for a table that cannot be read.
    """
    spreads = tuple(_shown_spread(row_class, snapshot) for row_class in _tables())
    row = connection.execute("SELECT current_database()").fetchone()
    assert row is not None
    connection.execute(f"ATTACH {text_literal(_template(spreads))} AS template (READ_ONLY)")
    connection.execute(f'COPY FROM DATABASE template TO "{row[0]}" (SCHEMA)')
    connection.execute("DETACH template")
    _describe_snapshot(connection, snapshot)
    # The template has the views of empty tables.
    _define(connection, snapshot, [one for one in _tables() if snapshot.data_files.get(one.table)])


def define_tables(connection: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> None:
    """Create a view per table and no other. Raises CatalogueError for a table that cannot be read."""
    _define(connection, snapshot, _tables())


def _define(connection: duckdb.DuckDBPyConnection, snapshot: Snapshot, row_classes: Sequence[type[TableRow]]) -> None:
    if any(isinstance(file, ObjectPath) for files in snapshot.data_files.values() for file in files):
        let_read(connection)
    for row_class in row_classes:
        try:
            connection.execute(f"CREATE OR REPLACE VIEW {row_class.table} AS {_select(row_class, snapshot)}")
        except duckdb.Error as error:
            raise CatalogueError(
                f"Table {row_class.table} cannot be read ({first_line(error)}); run `valle lake fsck`."
            ) from error


def _template(spreads: tuple[int, ...]) -> Path:
    """Return a database with all views over empty tables, `spreads[k]` columns for the lists of lists of table k.

    Views keep the types of their columns, so each number of columns has a template of its own.
    """
    path = _templates(os.getpid()) / f"{'-'.join(map(str, spreads))}.duckdb"
    if not path.exists():
        with atomic_write(path, durable=False) as temporary, duckdb.connect(temporary) as connection:
            for row_class, num_spread in zip(_tables(), spreads, strict=True):
                nulls = _nulls(schema_of(row_class, num_spread))
                connection.execute(f"CREATE VIEW {row_class.table} AS SELECT {nulls} WHERE false")
            connection.execute("CREATE TABLE snapshot (table_name VARCHAR, version BIGINT, data_files BIGINT)")
            for text in _schema_texts():
                connection.execute(text)
            connection.execute(codebooks_macro(spreads[[row_class.table for row_class in _tables()].index("codes")]))
    return path


@cache
def _templates(process: int) -> Path:
    """Return the folder of the templates of a process; a fork has its own, as its parent may end and remove it."""
    folder = Path(mkdtemp(prefix="valle-views-"))
    # Worker processes of multiprocessing end without the clean-up of an interpreter, but with this one.
    Finalize(None, rmtree, args=(folder, True), exitpriority=0)
    return folder


def first_line(error: Exception) -> str:
    """Return the first line of DuckDB's message."""
    return str(error).splitlines()[0]


def _describe_snapshot(connection: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> None:
    # Names of our tables and numbers, so they are part of the text: to bind parameters DuckDB imports pandas.
    rows = [
        f"('{table}', {version}, {len(snapshot.data_files[table])})" for table, version in snapshot.versions.items()
    ]
    if rows:
        connection.execute(f"INSERT INTO snapshot VALUES {', '.join(rows)}")


def codebooks_macro(num_codebooks: int) -> str:
    """Return the SQL of `codebooks()`: a row per segment and codebook with its codes.

    One query per codebook reads one column at a time, three times faster than UNPIVOT. A macro, unlike a view, costs
    nothing until it is used.
    """
    queries = (
        f"SELECT segment_id, corpus, codec, {k} AS codebook, q{k} AS codes FROM current_codes WHERE q{k} IS NOT NULL"
        for k in range(num_codebooks)
    )
    return f"CREATE MACRO codebooks() AS TABLE {' UNION ALL '.join(queries)}"


def _select(row_class: type[TableRow], snapshot: Snapshot) -> str:
    """Return the SQL of the rows of a table, with the columns of its row class in any data file."""
    data_files = snapshot.data_files.get(row_class.table, ())
    columns = schema_of(row_class, _shown_spread(row_class, snapshot))
    if not data_files:
        return f"SELECT {_nulls(columns)} WHERE false"
    # A data file that was written before a column existed, or had its name, reads as null. That needs the footer of
    # every data file for every view above the table, so only tables that gained or renamed a column pay for it.
    old_names = snapshot.old_names.get(row_class.table, {})
    if old_names or any(field.default is not MISSING for field in fields(row_class)):
        renamed = [(old, columns.field(name).type) for name, old in old_names.items()]
        every = f"SELECT {_nulls(columns)}{''.join(f', {_null(*column)}' for column in renamed)} WHERE false"
        source = f"{every} UNION ALL BY NAME SELECT * FROM {_read_parquet(data_files, union_by_name=True)}"
        return f"SELECT {_names(columns, old_names)} FROM ({source})"
    # Data files with more columns for lists than others are read apart; the log tells which, so no footer is read.
    by_spread: dict[int, list[Location]] = {}
    for file in data_files:
        by_spread.setdefault(snapshot.num_spread.get(file, 0), []).append(file)
    selects = []
    for num_spread, group in sorted(by_spread.items(), reverse=True):
        stored = set(schema_of(row_class, num_spread).names)
        given = ", ".join(
            f'"{field.name}"' if field.name in stored else _null(field.name, field.type) for field in columns
        )
        selects.append(f"SELECT {given} FROM {_read_parquet(group)}")
    return " UNION ALL ".join(selects)


def _shown_spread(row_class: type[TableRow], snapshot: Snapshot) -> int:
    """Return the columns that the view of a table has for its field of lists of lists, 0 without one."""
    spread = spread_in(row_class)
    if spread is None:
        return 0
    files = snapshot.data_files.get(row_class.table, ())
    return max([spread.minimum, *(snapshot.num_spread.get(file, 0) for file in files)])


def _nulls(columns: pa.Schema) -> str:
    return ", ".join(_null(field.name, field.type) for field in columns)


def _null(name: str, kind: pa.DataType) -> str:
    return f'CAST(NULL AS {_sql_type(kind)}) AS "{name}"'


def _names(columns: pa.Schema, old_names: Mapping[str, str]) -> str:
    """Return the list of columns; one that was renamed has the value that a data file holds under either name."""
    olds = old_names
    return ", ".join(f'coalesce("{n}", "{olds[n]}") AS "{n}"' if n in olds else f'"{n}"' for n in columns.names)


def _read_parquet(data_files: Sequence[Location], *, union_by_name: bool = False) -> str:
    """Return the SQL that reads data files.

    A folder `key=value` above the lake is no partition: its value would replace the column of that name.
    """
    listed = ", ".join(text_literal(file) for file in data_files)
    return f"read_parquet([{listed}], hive_partitioning = false, union_by_name = {str(union_by_name).lower()})"


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"{_sql_type(kind.value_type)}[]"
    if pa.types.is_struct(kind):
        return "STRUCT(" + ", ".join(f'"{field.name}" {_sql_type(field.type)}' for field in kind) + ")"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMPTZ"
    return _SQL_TYPES[kind]
