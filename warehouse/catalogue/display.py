"""Format answers as text for a terminal."""

from itertools import pairwise

import pyarrow as pa

from warehouse.catalogue.numbers import with_plain_numbers


def format_table(answer: pa.Table, *, limit: int = 100) -> str:
    """Format an answer as aligned text: numbers to the right, long cells cut at 60 characters."""
    answer = with_plain_numbers(answer)
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


def format_time(seconds: float) -> str:
    """Format a span of time in its two largest units: `45 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    left = max(0, round(seconds))
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    for (name, size), (next_name, next_size) in pairwise(units):
        if left >= size:
            rest = left % size // next_size
            return f"{left // size} {name}" + (f" {rest} {next_name}" if rest else "")
    return f"{left} s"


def format_size(count: float) -> str:
    """Format bytes in the unit that leaves one to three digits before the point."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 999.5 or unit == "TB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if count >= 99.5 or unit == "B" else f"{count:.3g} {unit}"


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = f"{value:,.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else text[:59] + "…"
