"""Answers as text for a terminal."""

import pyarrow as pa


def format_table(answer: pa.Table, *, limit: int = 100) -> str:
    """An answer as aligned text; numbers to the right, long cells cut at 60 characters."""
    rows = [[_cell(value) for value in row.values()] for row in answer.slice(0, limit).to_pylist()]
    widths = [max([len(name), *(len(row[index]) for row in rows)]) for index, name in enumerate(answer.column_names)]
    right = [pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in answer.schema.types]

    def line(cells: list[str]) -> str:
        padded = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True))
        return "  ".join(padded).rstrip()

    lines = [line(list(answer.column_names)), "  ".join("-" * width for width in widths), *map(line, rows)]
    if answer.num_rows > limit:
        lines.append(f"... {answer.num_rows - limit} more rows (--limit, or --format csv)")
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = f"{value:,.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else text[:59] + "…"
