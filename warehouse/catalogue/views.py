"""Connect to the views over one snapshot of the lake, and run queries on them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from warehouse.catalogue.definitions import define_tables, define_views, first_line
from warehouse.catalogue.literals import text_literal
from warehouse.catalogue.outside_sql import check_table_functions
from warehouse.catalogue.spill import limit_memory
from warehouse.errors import CatalogueError

if TYPE_CHECKING:
    import pyarrow as pa

    from warehouse.lake.tables import Lake, Snapshot


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


# A query about the views themselves is answered whether they are defined or not.
_LISTS_VIEWS = re.compile(
    r"\b(show|describe|desc|pragma|information_schema|duckdb_\w+|pg_\w+|sqlite_\w+)\b", re.IGNORECASE
)


def connect(
    snapshot: Snapshot, *, threads: int | None = None, tables_only: bool = False, spill: Path | None = None
) -> duckdb.DuckDBPyConnection:
    """Return an in-memory database with the views of the catalogue over `snapshot`.

    With `tables_only` it has a view per table and no other: a process that connects once gets them sooner. What does
    not fit into memory goes to the folder `spill`, by default that of temporary files.
    """
    connection = _database(spill)
    if threads is not None:
        connection.execute(f"SET threads = {threads}")
    (define_tables if tables_only else define_views)(connection, snapshot)
    return connection


def _database(spill: Path | None = None) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET parquet_metadata_cache = true")  # Data files never change, and views share them.
    limit_memory(connection, spill)
    return connection


def answer_query(lake: Lake, sql: str) -> pa.Table:
    """Return the answer to one SQL query over the newest snapshot of `lake`, with no more views than it needs.

    A process that asks once would wait longer for all views than for most answers. A SELECT is tried without any, then
    with those of the tables, then with all. Raises CatalogueError as `run_query`.
    """
    snapshot = cache(lake.snapshot)
    with _database() as connection:
        # A Python variable of this process is no table, and would hide that a view is missing.
        connection.execute("SET python_enable_replacements = false")
        if _is_repeatable(connection, sql):
            answer = _attempt(connection, sql)
            if answer is None:
                define_tables(connection, snapshot())
                answer = _attempt(connection, sql)
            if answer is not None:
                return answer
    with connect(snapshot()) as connection:
        return run_query(connection, sql)


def _attempt(connection: duckdb.DuckDBPyConnection, sql: str) -> pa.Table | None:
    """Return the answer, None where it fails: with all views `run_query` answers it, or reports the error."""
    with suppress(duckdb.Error):
        return connection.execute(sql).to_arrow_table()
    return None


def _is_repeatable(connection: duckdb.DuckDBPyConnection, sql: str) -> bool:
    """Return whether a query may be tried with too few views: one SELECT that does not list the views."""
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error:
        return False
    return [statement.type for statement in statements] == [duckdb.StatementType.SELECT] and not _LISTS_VIEWS.search(
        sql
    )


def run_query(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
    """Return the answer to one SQL query as an Arrow table. Raises CatalogueError with DuckDB's first line."""
    try:
        # DuckDB imports pandas to bind parameters, even none; a query without any does not wait for it.
        answer = connection.execute(sql, list(parameters)) if parameters else connection.execute(sql)
        return answer.to_arrow_table()
    except duckdb.Error as error:
        raise CatalogueError(f"The query failed: {first_line(error)}") from error


def run_select(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any] = (), *, lake: Lake
) -> pa.Table:
    """Run one SELECT from outside on a connection that is locked for good: from now on it reads only the lake.

    Raises CatalogueError for anything but one SELECT, and for files elsewhere.
    """
    _lock_for(connection, sql, lake)
    return run_query(connection, sql, parameters)


def keep_select(connection: duckdb.DuckDBPyConnection, table: str, sql: str, *, lake: Lake) -> None:
    """Keep the answer to one SELECT from outside as a table of the connection; see `run_select`."""
    _lock_for(connection, sql, lake)
    run_query(connection, f"CREATE TABLE {table} AS {sql}")


def _lock_for(connection: duckdb.DuckDBPyConnection, sql: str, lake: Lake) -> None:
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise CatalogueError(f"The query failed: {first_line(error)}") from error
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise CatalogueError("Give one SELECT; the catalogue is only read.")
    check_table_functions(connection, sql)
    _lock(connection, lake)


def check_expression(sql: str, *, option: str) -> str:
    """Return `sql`, given as `option`, if it is one SQL expression. Raises CatalogueError otherwise.

    An f-string around the text is no fence: `true); COPY ... TO 'file'; SELECT (true` closes its parenthesis.
    """
    try:
        duckdb.SQLExpression(sql)
    except (duckdb.Error, ValueError) as error:
        raise CatalogueError(f"{option} must be one SQL expression ({first_line(error)}).") from error
    # A line break ends a comment at the end of the text.
    return f"{sql}\n"


def _lock(connection: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    # DuckDB allows neither setting to be changed once external access is off, not even to the same value.
    if connection.execute("SELECT current_setting('enable_external_access')").fetchone() == (True,):
        connection.execute(f"SET allowed_directories = [{text_literal(lake.root)}]")
        connection.execute("SET enable_external_access = false")
