"""Write the answers of a lake below the queries of docs/sql.md.

`python -m warehouse.tools.sql_page docs/sql.md LAKE` runs every query of the page and replaces its answer.
"""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from warehouse.catalogue.display import format_table
from warehouse.catalogue.views import connect, run_query
from warehouse.lake.tables import Lake

_QUESTION = re.compile(
    r"^## (?P<heading>[^\n]+)\n(?P<text>(?:(?!^## ).)*?)^```sql\n(?P<sql>.*?)^```\n\n```text\n(?P<answer>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
# Largest number of rows of an answer on the page.
_ROWS = 16


@dataclass(frozen=True, slots=True)
class Question:
    """A question of the page, its query, and the columns and number of rows of its answer."""

    heading: str
    sql: str
    columns: tuple[str, ...]
    rows: int


def questions(page: str) -> list[Question]:
    """Return every question of the page, in its order."""
    found = []
    for match in _QUESTION.finditer(page):
        lines = match["answer"].splitlines()
        found.append(Question(match["heading"], match["sql"], tuple(lines[0].split()), len(lines) - 2))
    return found


def with_answers(page: str, ask: Callable[[str], pa.Table]) -> str:
    """Return the page with the answers that `ask` returns for its queries."""

    def answered(match: re.Match[str]) -> str:
        start, stop = match.span("answer")
        whole, offset = match[0], match.start()
        answer = format_table(ask(match["sql"]), limit=_ROWS)
        return whole[: start - offset] + answer + "\n" + whole[stop - offset :]

    return _QUESTION.sub(answered, page)


def main(arguments: list[str]) -> None:
    """Answer the page `arguments[0]` from the lake `arguments[1]`."""
    page, lake = Path(arguments[0]), Lake(Path(arguments[1]))
    with connect(lake.snapshot()) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        text = with_answers(page.read_text(encoding="utf-8"), lambda sql: run_query(connection, sql))
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
