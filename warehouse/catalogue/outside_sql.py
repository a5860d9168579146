"""Refuse SQL from outside whose table functions do more than read.

DuckDB executes some settings as functions inside a SELECT: one that starts a log in a file ends the process where files
are locked, others turn logs off or run SQL that is hidden in a string. So the functions that read are listed, and a new
version of DuckDB adds none by itself.
"""

import json
from collections.abc import Iterator
from typing import Any

import duckdb

from warehouse.errors import CatalogueError

# Functions of rows, of the catalogue, and of files, which are locked to those of the lake.
_READING = frozenset((
    "codebooks", "histogram", "histogram_values", "unnest", "range", "generate_series", "repeat", "repeat_row",
    "json_each", "json_tree", "summary", "glob", "read_parquet", "parquet_scan", "parquet_schema",
    "parquet_metadata", "parquet_file_metadata", "parquet_kv_metadata", "read_text", "read_blob", "read_csv",
    "read_csv_auto", "read_json", "read_json_auto", "read_json_objects", "read_ndjson", "read_ndjson_auto",
    "sniff_csv", "duckdb_columns", "duckdb_constraints", "duckdb_databases", "duckdb_functions", "duckdb_keywords",
    "duckdb_memory", "duckdb_schemas", "duckdb_settings", "duckdb_tables", "duckdb_types", "duckdb_views",
    "pragma_database_size", "pragma_table_info", "pragma_show", "pragma_version", "pragma_platform",
    "pragma_user_agent", "pragma_collations", "pg_timezone_names", "icu_calendar_names",
))  # fmt: skip


def check_table_functions(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Return if every table function of one SELECT only reads. Raises CatalogueError with the name of another."""
    answer = connection.execute("SELECT json_serialize_sql($1::VARCHAR)", [sql]).fetchone()
    assert answer is not None
    try:
        tree = json.loads(answer[0])
    except RecursionError as error:
        raise CatalogueError("The query is nested too deep; write a shorter one.") from error
    if tree["error"]:
        raise CatalogueError(f"The query cannot be checked: {tree['error_message']}.")
    for name in _table_functions(tree):
        if name not in _READING:
            raise CatalogueError(f"The table function {name} is not allowed in a query; the catalogue is only read.")


def _table_functions(node: Any) -> Iterator[str]:
    """Yield the names of the table functions below a node of DuckDB's syntax tree."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if node.get("type") == "TABLE_FUNCTION":
                yield str(node["function"].get("function_name")).lower()
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
