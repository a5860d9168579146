"""The catalogue: DuckDB views over one snapshot of the lake.

`connect` gives an in-memory database; `refresh` writes the same views to a new file and renames it in, so a reader
never meets a lock and the file is never the only copy of anything. Views name the parts of the snapshot one by one:
what is not committed cannot be seen.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow as pa

from warehouse.errors import CatalogueError
from warehouse.fingerprints import short_hash
from warehouse.lake.arrow import schema_of
from warehouse.lake.store import Location, ObjectPath, let_read
from warehouse.lake.tables import Lake, Snapshot
from warehouse.rows import TABLES

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
    """A query that is kept in `warehouse/queries/`: the question it answers, and its SQL."""

    name: str
    question: str
    sql: str


def named_queries() -> dict[str, NamedQuery]:
    """Every query in `warehouse/queries/`, by name."""
    found = {}
    for resource in sorted(files("warehouse.queries").iterdir(), key=lambda entry: entry.name):
        if resource.name.endswith(".sql"):
            text = resource.read_text(encoding="utf-8")
            name = resource.name.removesuffix(".sql")
            found[name] = NamedQuery(name, text.splitlines()[0].removeprefix("--").strip(), text)
    return found


def named_query(name: str) -> NamedQuery:
    """One of the named queries. Raises CatalogueError naming the ones that exist."""
    queries = named_queries()
    if name not in queries:
        raise CatalogueError(f"There is no query named {name!r}; the queries are {', '.join(queries)}.")
    return queries[name]


Extent = Literal["tables", "in_force", "inputs", "all"]
"""How far the views go: the tables alone, the rows in force as well, what the stages read, or everything."""

_SCHEMA_FILES: Mapping[Extent, int | None] = {"tables": 0, "in_force": 1, "inputs": 2, "all": None}


def connect(snapshot: Snapshot, *, threads: int | None = None, extent: Extent = "all") -> duckdb.DuckDBPyConnection:
    """An in-memory database with the views of the catalogue over `snapshot`.

    To define a view opens the parts of every table below it, so work on one shard asks for no more than it needs.
    """
    connection = duckdb.connect()
    connection.execute("SET parquet_metadata_cache = true")  # A part never changes, and many views open the same ones.
    if threads is not None:
        connection.execute(f"SET threads = {threads}")
    define_views(connection, snapshot, extent=extent)
    return connection


class NewestCatalogue:
    """The views over the newest snapshot, defined again only when the lake has moved on. For one thread.

    Looking whether it has costs a third of defining them, and a run with nothing to do asks once per stage.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._snapshot: Snapshot | None = None
        self._connection: duckdb.DuckDBPyConnection | None = None

    def connection(self) -> duckdb.DuckDBPyConnection:
        """The connection, valid until the next call."""
        snapshot = self._lake.snapshot()
        if self._connection is None or snapshot != self._snapshot:
            self.close()
            self._snapshot, self._connection = snapshot, connect(snapshot)
        return self._connection

    def close(self) -> None:
        """Let go of the views; the next call defines them again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def refresh(lake: Lake, path: Path) -> Path:
    """Rebuild the catalogue file at `path` from the newest snapshot and rename it in; one that shows it stays."""
    snapshot = lake.snapshot()
    if _shows(path, snapshot):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        with duckdb.connect(temporary) as connection:
            define_views(connection, snapshot)
            connection.execute("CREATE TABLE definition AS SELECT ? AS hash", [_definition(snapshot)])
        temporary.replace(path)
    except (OSError, duckdb.Error) as error:
        raise CatalogueError(f"Could not rebuild the catalogue {path}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return path


def run_query(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
    """The answer to one SQL query as an Arrow table. Raises CatalogueError with DuckDB's first line."""
    try:
        return connection.execute(sql, list(parameters)).to_arrow_table()
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


def _shows(path: Path, snapshot: Snapshot) -> bool:
    """Whether a catalogue file was made of this snapshot by these definitions."""
    if not path.exists():
        return False
    try:
        with duckdb.connect(path, read_only=True) as connection:
            found = connection.execute("SELECT hash FROM definition").fetchone()
    except duckdb.Error:
        return False  # Damaged, of an older version, or held by a writer: made again.
    return found == (_definition(snapshot),)


def _definition(snapshot: Snapshot) -> str:
    """A hash of all that the views are made of."""
    tables = [_select(row_class, snapshot.parts.get(row_class.table, ())) for row_class in TABLES]
    return short_hash("\n".join([duckdb.__version__, repr(snapshot.versions), *tables, *_schema_texts()]))


def _schema_texts() -> list[str]:
    resources = sorted(files("warehouse.schema").iterdir(), key=lambda entry: entry.name)
    return [entry.read_text(encoding="utf-8") for entry in resources if entry.name.endswith(".sql")]


def define_views(connection: duckdb.DuckDBPyConnection, snapshot: Snapshot, *, extent: Extent = "all") -> None:
    """Create a view per table and the views of `warehouse/schema/`, in the order of their file names."""
    if any(isinstance(part, ObjectPath) for parts in snapshot.parts.values() for part in parts):
        let_read(connection)
    for row_class in TABLES:
        parts = snapshot.parts.get(row_class.table, ())
        try:
            connection.execute(f"CREATE VIEW {row_class.table} AS {_select(row_class, parts)}")
        except duckdb.Error as error:
            raise CatalogueError(
                f"Table {row_class.table} cannot be read ({_first_line(error)}); run `valle lake fsck`."
            ) from error
    _snapshot_table(connection, snapshot)
    for text in _schema_texts()[: _SCHEMA_FILES[extent]]:
        connection.execute(text)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _snapshot_table(connection: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> None:
    connection.execute("CREATE TABLE snapshot (table_name VARCHAR, version BIGINT, parts BIGINT)")
    for table, version in snapshot.versions.items():
        connection.execute("INSERT INTO snapshot VALUES (?, ?, ?)", [table, version, len(snapshot.parts[table])])


def _select(row_class: Any, parts: Sequence[Location]) -> str:
    columns = schema_of(row_class)
    nulls = ", ".join(f'CAST(NULL AS {_sql_type(field.type)}) AS "{field.name}"' for field in columns)
    nothing = f"SELECT {nulls} WHERE false"
    if not parts:
        return nothing
    listed = ", ".join(f"'{_escaped(str(part))}'" for part in parts)
    names = ", ".join(f'"{name}"' for name in columns.names)
    source = f"SELECT * FROM read_parquet([{listed}])"
    # A part that was written before a column existed reads as null, and so does a table all of whose parts were. That
    # needs the footer of every part, for every view above the table: only tables that got a column pay for it.
    if any(field.default is not MISSING for field in fields(row_class)):
        source = f"{nothing} UNION ALL BY NAME SELECT * FROM read_parquet([{listed}], union_by_name = true)"
    return f"SELECT {names} FROM ({source})"


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"{_sql_type(kind.value_type)}[]"
    if pa.types.is_struct(kind):
        return "STRUCT(" + ", ".join(f'"{field.name}" {_sql_type(field.type)}' for field in kind) + ")"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMPTZ"
    return _SQL_TYPES[kind]
