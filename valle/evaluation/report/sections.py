"""Represent a section of a report before it is Markdown or HTML: a heading, a table and the text around it.

Both forms of a report are rendered from the same sections, so that they cannot disagree.
"""

from collections.abc import Sequence
from dataclasses import dataclass

Cell = str | int | float | None
"""The content of a table cell. Text between backticks is a name and rendered as code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section: `intro`, the table, then `note`. `numeric` marks the columns of numbers."""

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
    """Return a section whose first `names` columns are text and whose other columns are numbers."""
    return Section(
        heading=heading,
        intro=intro,
        header=tuple(header),
        rows=tuple(tuple(row) for row in rows),
        numeric=tuple(index >= names for index in range(len(header))),
        note=note,
    )
