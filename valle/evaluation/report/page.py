"""Write the page of an evaluation: one HTML file that opens from disk, with players for the speech.

The page has the content of the Markdown report and adds sortable tables, a choice of text normaliser, players, and
every utterance with its errors marked. Style and script are inside the file; pictures and speech have relative
addresses, so that the data root can be moved or served as a whole.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from valle.evaluation.report.columns import Column, columns_for
from valle.evaluation.report.content import ReportContent, SystemLine
from valle.evaluation.report.html import asset, relative_link, render
from valle.evaluation.report.utterance_table import MAX_ROWS, utterance_table
from valle.evaluation.stats.provenance import ScoreProvenance, provenance_of
from valle.evaluation.systems.base import GROUND_TRUTH
from valle.reporting import write_text
from warehouse.model_rows import ScoreRow

_KEY_WITHIN = 400  # characters of the page that contain its key


@dataclass(frozen=True, slots=True)
class _Cell:
    """A score as printed; `value` is for sorting, `title` the tooltip with its origin."""

    text: str
    value: str | None
    title: str


@dataclass(frozen=True, slots=True)
class _SystemRow:
    name: str
    cells: Sequence[_Cell]


@dataclass(frozen=True, slots=True)
class _Origin:
    name: str
    facts: Mapping[str, str]


Origins = Mapping[tuple[str, str], ScoreProvenance]
"""The origin of scores by normaliser and system."""


def write_page(content: ReportContent, directory: Path, *, max_rows: int = MAX_ROWS) -> Path:
    """Write `report.html` into `directory` and return its path."""
    labels = _labels(content)
    origins = {
        key: provenance_of(list(group))
        for key, group in groupby(sorted(content.scores, key=_system_key), key=_system_key)
    }
    columns = columns_for(content.systems)
    path = directory / "report.html"
    page = render(
        "page.html",
        content=content,
        labels=labels,
        columns=columns,
        systems={label: _system_rows(content, label, columns, origins) for label in labels},
        figures=[(relative_link(plot.path, directory), plot.caption) for plot in content.plots],
        table=utterance_table(content.scores, labels, directory, max_rows=max_rows),
        origins=_origins(content, origins),
        style=asset("page.css"),
        script=asset("page.js"),
    )
    write_text(path, page)
    return path


def page_key(path: Path) -> str | None:
    """Return the key of a page that was written before; None without one."""
    if not path.exists():
        return None
    with path.open(encoding="utf-8") as page:
        # The start of the page is enough, and pages are large.
        match = re.search(r'name="content-key" content="([^"]*)"', page.read(_KEY_WITHIN))
    return match.group(1) if match else None


def _system_key(row: ScoreRow) -> tuple[str, str]:
    return (row.normaliser, row.system)


def _labels(content: ReportContent) -> list[str]:
    """Return the normalisers of the scores, the chosen one first."""
    labels = dict.fromkeys(line.scores.normaliser for line in content.systems)
    return sorted(labels, key=lambda label: (label != content.normaliser, label))


def _system_rows(content: ReportContent, label: str, columns: Sequence[Column], origins: Origins) -> list[_SystemRow]:
    lines = [line for line in content.systems if line.scores.normaliser == label]
    truth = next((line for line in lines if line.scores.system == GROUND_TRUTH), None)
    return [
        _SystemRow(
            line.scores.system,
            [_cell(column, line, truth, origins[label, line.scores.system]) for column in columns],
        )
        for line in lines
    ]


def _cell(column: Column, line: SystemLine, truth: SystemLine | None, origin: ScoreProvenance) -> _Cell:
    number = column.number(line, truth)
    return _Cell(
        text=column.text(line, truth),
        value=None if number is None else repr(number),
        title=f"{column.heading}: {column.meaning}. {origin.describe(column.model)}",
    )


def _origins(content: ReportContent, origins: Origins) -> list[_Origin]:
    systems = dict.fromkeys(line.scores.system for line in content.systems)
    return [
        _Origin(system, _facts(origin))
        for system in systems
        if (origin := origins.get((content.normaliser, system))) is not None
    ]


def _facts(origin: ScoreProvenance) -> dict[str, str]:
    return {
        "checkpoint": origin.checkpoint_id or "none",
        "evaluation": origin.evaluation,
        "protocol": origin.protocol,
        "list of items": f"{origin.num_items} items, hash {origin.items}, trials: {origin.trials}",
        "ASR": origin.asr_model,
        "speaker encoder": origin.speaker_model,
        "naturalness": origin.quality_model,
        "normaliser shown first": origin.normaliser,
        "scored at": origin.scored_at,
    }
