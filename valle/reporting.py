"""What every report is made of: Markdown tables and pictures beside them, written atomically."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture of a report and the sentence that explains it."""

    path: Path
    caption: str


@dataclass(frozen=True, slots=True)
class Report:
    """A report on disk: the Markdown file and the pictures it shows, all in one directory; some have an HTML page."""

    markdown_path: Path
    plots: tuple[Plot, ...]
    page_path: Path | None = None


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
    return " ".join(str(value).split()).replace("|", "\\|") or "(space)"


def markdown_rows(header: Sequence[str], rows: Sequence[Sequence[Any]], *, numeric: Sequence[bool]) -> str:
    """A Markdown table; the columns marked `numeric` are right-aligned."""
    lines = [header, ["--:" if is_numeric else ":--" for is_numeric in numeric]]
    lines += [[_cell(value) for value in row] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def markdown_table(table: pa.Table, *, limit: int = 20) -> str:
    """The first `limit` rows of an Arrow table as Markdown, and how many are left out."""
    numeric = [pa.types.is_integer(field.type) or pa.types.is_floating(field.type) for field in table.schema]
    rows = [list(row.values()) for row in table.slice(0, limit).to_pylist()]
    text = markdown_rows([name.replace("_", " ") for name in table.column_names], rows, numeric=numeric)
    left_out = table.num_rows - len(rows)
    return text + (f"\n\nand {left_out:,} more rows." if left_out > 0 else "")


def write_text(path: Path, text: str) -> None:
    """Write a text file under a temporary name, then rename it: a report that exists is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
