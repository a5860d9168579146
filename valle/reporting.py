"""Write reports: Markdown tables with plots beside them, atomically."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from warehouse.files import atomic_write

# A bracket is a link or an image only in front of its target; an interval keeps its brackets.
_MARKS = re.compile(r"([\\|<]|\](?=[(\[:]))")


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot of a report and the sentence that explains it."""

    path: Path
    caption: str


@dataclass(frozen=True, slots=True)
class Report:
    """A report on disk: a Markdown file with its plots, and an HTML page for some."""

    markdown_path: Path
    plots: tuple[Plot, ...]
    page_path: Path | None = None
    summary: str = ""
    """The main result in one line, for terminals and logs."""


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, list):
        return ", ".join(_cell(item) for item in value)
    # Labels come from corpora: none may end a cell or be HTML, a link or an image in a page that shows the table.
    return _MARKS.sub(r"\\\1", " ".join(str(value).split())) or "(space)"


def markdown_rows(header: Sequence[str], rows: Sequence[Sequence[Any]], *, numeric: Sequence[bool]) -> str:
    """Return a Markdown table; the columns marked `numeric` are right-aligned."""
    lines = [header, ["--:" if is_numeric else ":--" for is_numeric in numeric]]
    lines += [[_cell(value) for value in row] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def markdown_table(table: pa.Table, *, limit: int = 20) -> str:
    """Return the first `limit` rows of an Arrow table as Markdown, and the number of omitted rows."""
    numeric = [pa.types.is_integer(field.type) or pa.types.is_floating(field.type) for field in table.schema]
    rows = [list(row.values()) for row in table.slice(0, limit).to_pylist()]
    text = markdown_rows([name.replace("_", " ") for name in table.column_names], rows, numeric=numeric)
    num_omitted = table.num_rows - len(rows)
    return text + (f"\n\nand {num_omitted:,} more rows." if num_omitted > 0 else "")


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically: a file that exists is complete."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
