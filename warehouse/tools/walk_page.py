"""Write rows of a lake into the tables of docs/walk.md.

`python -m warehouse.tools.walk_page docs/walk.md LAKE SEGMENT` shows the rows that belong to a segment; without
SEGMENT it takes the longest segment of `librilight` that is in a training set.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import duckdb

from warehouse.catalogue.views import connect, run_query
from warehouse.errors import CatalogueError, ConfigurationError, PipelineError
from warehouse.lake.tables import Lake

_HEADING = re.compile(r"^## \d+\. (.*)$", re.MULTILINE)
_TABLE = re.compile(r"^\| column \| value \|\n\| --- \| --- \|\n(?:\|.*\n?)+", re.MULTILINE)
_LONGEST_TEXT = 150
_SHOWN_VALUES = 8
# The newest row of a table that belongs to the segment, to its recording, or to the training and evaluation of its set.
_QUERIES: Mapping[str, str] = {
    "sources": "SELECT s.* FROM sources s JOIN recordings r USING (source_id) JOIN current_segments c "
    "USING (recording_id) WHERE c.segment_id = $segment",
    "recordings": "SELECT r.* FROM current_recordings r JOIN current_segments c USING (recording_id) "
    "WHERE c.segment_id = $segment",
    "training_items": "SELECT * FROM training_items WHERE segment_id = $segment",
    "checkpoints": "SELECT * EXCLUDE (config, metrics) FROM checkpoints ORDER BY saved_at DESC LIMIT 1",
    "scores": "SELECT * FROM scores WHERE checkpoint_id IS NOT NULL ORDER BY scored_at DESC, score_id LIMIT 1",
}
_OTHERS = "SELECT * FROM current_{table} WHERE segment_id = $segment"
_LONGEST = """
SELECT segment_id FROM training_items WHERE corpus = 'librilight' AND split = 'train' ORDER BY duration DESC LIMIT 1
"""


def with_rows(page: str, connection: duckdb.DuckDBPyConnection, segment: str) -> str:
    """Return the page with rows of `segment` in its tables.

    The heading above a table names it in code font; tables below one heading follow the order of the names. Raises
    CatalogueError for a table without such a row.
    """
    names = list(_table_names(page))
    if len(names) != len(_TABLE.findall(page)):
        raise CatalogueError(f"The page has {len(_TABLE.findall(page))} tables; its headings name {len(names)}.")
    remaining = iter(names)
    return _TABLE.sub(lambda _: _markdown(_row_of(connection, next(remaining), segment)), page)


def _table_names(page: str) -> Iterator[str]:
    for heading in _HEADING.findall(page):
        yield from re.findall(r"`(\w+)`", heading)


def _row_of(connection: duckdb.DuckDBPyConnection, table: str, segment: str) -> dict[str, object]:
    sql = _QUERIES.get(table, _OTHERS.format(table=table))
    values = {"segment": segment} if "$segment" in sql else {}
    rows = connection.execute(sql, values).to_arrow_table().to_pylist()
    if not rows:
        raise CatalogueError(f"Table {table} has no row of segment {segment}.")
    return dict(rows[0])


def _markdown(row: Mapping[str, object]) -> str:
    lines = ["| column | value |", "| --- | --- |"]
    lines += [f"| `{name}` | {_shown(value)} |" for name, value in row.items() if value is not None]
    return "\n".join(lines) + "\n"


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return _shown_list(value)
    text = str(value).replace("|", "\\|")
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"


def _shown_list(values: Sequence[object]) -> str:
    if len(values) <= _SHOWN_VALUES:
        return _shown(json.dumps(values, ensure_ascii=False, default=str))
    first = ", ".join(f"{value:.3f}" if isinstance(value, float) else str(value) for value in values[:_SHOWN_VALUES])
    return f"[{first}, ...] ({len(values)} values)"


def _longest_segment(connection: duckdb.DuckDBPyConnection) -> str:
    found = run_query(connection, _LONGEST)["segment_id"].to_pylist()
    if not found:
        raise CatalogueError("No segment of librilight is in a training set of this lake; give a SEGMENT.")
    return str(found[0])


def fill(page: Path, lake: Path, segment: str | None = None) -> None:
    """Fill the tables of a page from a lake, by a segment or by the longest one. Raises PipelineError."""
    if not page.is_file():
        raise ConfigurationError(f"There is no page {page}.")
    with connect(Lake(lake).snapshot()) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        text = with_rows(page.read_text(encoding="utf-8"), connection, segment or _longest_segment(connection))
    # Paths of the page are relative to the folder of the data root.
    page.write_text(text.replace(f"{lake.absolute().parents[1]}/", ""), encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Fill the page `arguments[0]` from the lake `arguments[1]`, by the segment `arguments[2]` if it is given."""
    if len(arguments) not in (2, 3):
        sys.stderr.write("usage: python -m warehouse.tools.walk_page PAGE LAKE [SEGMENT]\n")
        return 2
    try:
        fill(Path(arguments[0]), Path(arguments[1]), *arguments[2:])
    except PipelineError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
