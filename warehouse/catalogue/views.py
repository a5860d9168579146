"""Define DuckDB views over one snapshot of the lake, and run queries on them.

Views name the data files of the snapshot one by one: rows that are not committed cannot be seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

import duckdb
import pyarrow as pa

from warehouse.errors import CatalogueError
from warehouse.fingerprints import short_hash
from warehouse.lake.arrow import TableRow, schema_of, spread_in
from warehouse.lake.store import Location, ObjectPath, let_read
from warehouse.rows import CodesRow
from warehouse.tables import TABLES

if TYPE_CHECKING:
    from warehouse.lake.tables import Lake, Snapshot

_SQL_TYPES = {
    pa.string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.int32(): "INTEGER",
    pa.int16(): "SMALLINT",
    pa.float64(): "DOUBLE",
    pa.float32(): "FLOAT",
    pa.bool_(): "BOOLEAN",
}


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """A SQL file of `warehouse/queries/`: its name, the question it answers, and its text."""

    name: str
    question: str
    sql: str


def named_queries() -> dict[str, NamedQuery]:
    """Return every query of `warehouse/queries/`, by name."""
    found = {}
    for resource in sorted(files("warehouse.queries").iterdir(), key=lambda entry: entry.name):
        if resource.name.endswith(".sql"):
            text = resource.read_text(encoding="utf-8")
            name = resource.name.removesuffix(".sql")
            found[name] = NamedQuery(name, text.splitlines()[0].removeprefix("--").strip(), text)
    return found


def named_query(name: str) -> NamedQuery:
    """Return a named query. Raises CatalogueError naming the ones that exist."""
    queries = named_queries()
    if name not in queries:
        raise CatalogueError(f"Unknown query {name!r}; choose one of {', '.join(queries)}.")
    return queries[name]


Extent = Literal["tables", "current", "inputs", "all"]
"""Views that are defined: the tables alone, the current rows too, the inputs of the stages too, or all."""

_SCHEMA_FILES: Mapping[Extent, int | None] = {"tables": 0, "current": 1, "inputs": 2, "all": None}


def connect(snapshot: Snapshot, *, threads: int | None = None, extent: Extent = "all") -> duckdb.DuckDBPyConnection:
    """Return an in-memory database with the views of the catalogue over `snapshot`.

    Defining a view opens data files of every table below it, so work on one shard defines no more than it needs.
    """
    connection = duckdb.connect()
    connection.execute("SET parquet_metadata_cache = true")  # Data files never change, and views share them.
    if threads is not None:
        connection.execute(f"SET threads = {threads}")
    define_views(connection, snapshot, extent=extent)
    return connection


def run_query(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
    """Return the answer to one SQL query as an Arrow table. Raises CatalogueError with DuckDB's first line."""
    try:
        # DuckDB imports pandas to bind parameters, even none; a query without any does not wait for it.
        answer = connection.execute(sql, list(parameters)) if parameters else connection.execute(sql)
        return answer.to_arrow_table()
    except duckdb.Error as error:
        raise CatalogueError(f"The query failed: {_first_line(error)}") from error


def run_select(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] = (), *, lake: Lake
) -> pa.Table:
    """Run one SELECT from outside on a connection that is locked for good: from now on it reads only the lake.

    Raises CatalogueError for anything but one SELECT, and for files elsewhere.
    """
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise CatalogueError(f"The query failed: {_first_line(error)}") from error
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise CatalogueError("Give one SELECT; the catalogue is only read.")
    _lock(connection, lake)
    return run_query(connection, sql, parameters)


def check_expression(sql: str, *, option: str) -> str:
    """Return `sql`, given as `option`, if it is one SQL expression. Raises CatalogueError otherwise.

    An f-string around the text is no fence: `true); COPY ... TO 'file'; SELECT (true` closes its parenthesis.
    """
    try:
        duckdb.SQLExpression(sql)
    except (duckdb.Error, ValueError) as error:
        raise CatalogueError(f"{option} must be one SQL expression ({_first_line(error)}).") from error
    # A line break ends a comment at the end of the text.
    return f"{sql}\n"


def _lock(connection: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    # DuckDB allows neither setting to be changed once external access is off, not even to the same value.
    if connection.execute("SELECT current_setting('enable_external_access')").fetchone() == (True,):
        connection.execute(f"SET allowed_directories = ['{_escaped(str(lake.root))}']")
        connection.execute("SET enable_external_access = false")


def _escaped(text: str) -> str:
    return text.replace("'", "''")


def definition_hash(snapshot: Snapshot) -> str:
    """Return a hash of everything that the views over `snapshot` are made of."""
    tables = [_select(row_class, snapshot) for row_class in TABLES]
    return short_hash("\n".join([duckdb.__version__, repr(snapshot.versions), *tables, *_schema_texts()]))


def _schema_texts() -> list[str]:
    resources = sorted(files("warehouse.schema").iterdir(), key=lambda entry: entry.name)
    return [entry.read_text(encoding="utf-8") for entry in resources if entry.name.endswith(".sql")]


def define_views(connection: duckdb.DuckDBPyConnection, snapshot: Snapshot, *, extent: Extent = "all") -> None:
    """Create a view per table and the views of `warehouse/schema/`, in the order of their file names."""
    if any(isinstance(file, ObjectPath) for files in snapshot.data_files.values() for file in files):
        let_read(connection)
    for row_class in TABLES:
        try:
            connection.execute(f"CREATE VIEW {row_class.table} AS {_select(row_class, snapshot)}")
        except duckdb.Error as error:
            raise CatalogueError(
                f"Table {row_class.table} cannot be read ({_first_line(error)}); run `valle lake fsck`."
            ) from error
    _snapshot_table(connection, snapshot)
    for text in _schema_texts()[: _SCHEMA_FILES[extent]]:
        connection.execute(text)
    if extent == "all":
        connection.execute(codebooks_macro(_shown_spread(CodesRow, snapshot)))


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _snapshot_table(connection: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> None:
    connection.execute("CREATE TABLE snapshot (table_name VARCHAR, version BIGINT, data_files BIGINT)")
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
    nulls = ", ".join(_null(field.name, field.type) for field in columns)
    nothing = f"SELECT {nulls} WHERE false"
    if not data_files:
        return nothing
    # A data file that was written before a column existed, or had its name, reads as null. That needs the footer of
    # every data file for every view above the table, so only tables that gained or renamed a column pay for it.
    old_names = snapshot.old_names.get(row_class.table, {})
    if old_names or any(field.default is not MISSING for field in fields(row_class)):
        renamed = [(old, columns.field(name).type) for name, old in old_names.items()]
        every = f"SELECT {nulls}{''.join(f', {_null(*column)}' for column in renamed)} WHERE false"
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
    listed = ", ".join(f"'{_escaped(str(file))}'" for file in data_files)
    return f"read_parquet([{listed}], hive_partitioning = false, union_by_name = {str(union_by_name).lower()})"


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"{_sql_type(kind.value_type)}[]"
    if pa.types.is_struct(kind):
        return "STRUCT(" + ", ".join(f'"{field.name}" {_sql_type(field.type)}' for field in kind) + ")"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMPTZ"
    return _SQL_TYPES[kind]
