"""`python -m warehouse.tools.describe` prints docs/warehouse.md: the tables, the views and the kept queries."""

import inspect
import sys
from importlib.resources import files
from typing import Any

from warehouse.catalogue.views import named_queries
from warehouse.lake.arrow import column_doc, column_hints, schema_of
from warehouse.rows import TABLES

_HEAD = """# The warehouse

Made from `warehouse/rows.py`, `warehouse/schema/` and `warehouse/queries/` by `make docs`; a test keeps it true.

Every table is a Delta Lake table of Parquet parts below `lake/`. The catalogue (`catalogue.duckdb`, or
`valle sql`) has a view of each by its name, with every row ever made, and the views below, which most questions ask.
"""


def describe_tables() -> str:
    """The page as Markdown."""
    parts = [_HEAD, "## Tables\n", *(_table(row_class) for row_class in TABLES)]
    parts += ["## Views\n", *(_views(resource.read_text(encoding="utf-8")) for resource in _sql("warehouse.schema"))]
    parts.append("## Kept queries\n\n`valle sql --query NAME`\n\n| name | question |\n| --- | --- |")
    parts += [f"| `{name}` | {query.question} |" for name, query in named_queries().items()]
    return "\n".join(parts) + "\n"


def _table(row_class: Any) -> str:
    lines = [f"### {row_class.table}\n", f"{inspect.cleandoc(row_class.__doc__)}\n"]
    lines += ["| column | type | |", "| --- | --- | --- |"]
    types = schema_of(row_class)
    for name, hint in column_hints(row_class).items():
        key = " (key)" if name == row_class.key else ""
        lines.append(f"| `{name}`{key} | {_type_name(str(types.field(name).type))} | {column_doc(hint)} |")
    return "\n".join(lines) + "\n"


def _type_name(arrow: str) -> str:
    return arrow.replace("item: ", "").replace("|", "\\|")


def _views(sql: str) -> str:
    """The comment on top of a file of views, and the names of its views."""
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
