"""A section of a report before it is Markdown or HTML: a heading, a table, and the sentences around it.

Both forms of a report are made from the same sections, so that they cannot disagree.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from valle.reporting import markdown_rows

Cell = str | int | float | None
"""What a table holds. Text between backticks is a name, and is set as one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section. `numeric` says which columns are numbers; `intro` stands above the table, `note` below it."""

    heading: str
    intro: str = ""
    header: tuple[str, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()
    numeric: tuple[bool, ...] = ()
    note: str = ""


def section(
    heading: str,
    header: Sequence[str] = (),
    rows: Sequence[Sequence[Cell]] = (),
    *,
    names: int = 1,
    intro: str = "",
    note: str = "",
) -> Section:
    """A section whose first `names` columns are text and whose others are numbers."""
    return Section(
        heading=heading,
        intro=intro,
        header=tuple(header),
        rows=tuple(tuple(row) for row in rows),
        numeric=tuple(place >= names for place in range(len(header))),
        note=note,
    )


def section_markdown(given: Section) -> str:
    """The section as Markdown, its heading at level two."""
    table = markdown_rows(given.header, given.rows, numeric=given.numeric) if given.rows else ""
    return "\n\n".join(part for part in (f"## {given.heading}", given.intro, table, given.note) if part)
