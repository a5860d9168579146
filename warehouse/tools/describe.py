"""Print docs/warehouse.md with `python -m warehouse.tools.describe`: the tables, the views and the named queries."""

import inspect
import sys
from importlib.resources import files
from typing import Any

import pyarrow as pa

from warehouse.catalogue.views import named_queries
from warehouse.lake.arrow import TableRow, column_doc, column_hints, schema_of, spread_of
from warehouse.tables import TABLES

_HEAD = """# The warehouse

Generated from the row classes, `warehouse/schema/` and `warehouse/queries/` by `make docs`; a test compares them.

Every table is a Delta Lake table of Parquet data files below `lake/`. The catalogue (`catalogue.duckdb`, or `valle
sql`) has a view of each by its name, with every row ever made, and the views below, which most queries use. The macro
`codebooks()` has a row for every segment and codebook of `current_codes`.
"""


def describe_tables() -> str:
    """Return the page as Markdown."""
    parts = [_HEAD, "## Tables\n", *(_table(row_class) for row_class in TABLES)]
    parts += ["## Views\n", *(_views(resource.read_text(encoding="utf-8")) for resource in _sql("warehouse.schema"))]
    parts.append("## Named queries\n\n`valle sql --query NAME`\n\n| name | question |\n| --- | --- |")
    parts += [f"| `{name}` | {query.question} |" for name, query in named_queries().items()]
    return "\n".join(parts) + "\n"


def _table(row_class: type[TableRow]) -> str:
    lines = [f"### {row_class.table}\n", f"{inspect.cleandoc(row_class.__doc__ or '')}\n"]
    lines += ["| column | type | |", "| --- | --- | --- |"]
    for name, hint in column_hints(row_class).items():
        spread = spread_of(hint)
        shown = f"`{name}`" if spread is None else f"`{spread.prefix}0`, `{spread.prefix}1`, ..."
        stored = name if spread is None else f"{spread.prefix}0"
        kind = schema_of(row_class, 0 if spread is None else 1).field(stored).type
        key = " (key)" if name == row_class.key else ""
        lines.append(f"| {shown}{key} | {_type_name(kind)} | {column_doc(hint)} |")
    return "\n".join(lines) + "\n"


def _type_name(kind: pa.DataType) -> str:
    return str(kind).replace("item: ", "").replace("|", "\\|")


def _views(sql: str) -> str:
    """Return the names of the views of a file, and the comment on top of it."""
    comment = []
    for line in sql.splitlines():
        if not line.startswith("--"):
            break
        comment.append(line.removeprefix("--").strip())
    names = [line.split()[2] for line in sql.splitlines() if line.startswith("CREATE VIEW")]
    return f"{', '.join(f'`{name}`' for name in names)}: {' '.join(comment)}\n"


def _sql(package: str) -> list[Any]:
    found = [resource for resource in files(package).iterdir() if resource.name.endswith(".sql")]
    return sorted(found, key=lambda resource: resource.name)


if __name__ == "__main__":
    sys.stdout.write(describe_tables())
