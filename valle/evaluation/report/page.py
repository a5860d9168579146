"""The page of an evaluation: one HTML file that a browser opens from disk, with the speech to listen to.

It says what the Markdown report says, from the same sections, and adds what only a page can: tables that are sorted
by a click, a choice of text normaliser, players, and every utterance with its errors marked. Style and script lie
inside; pictures and speech are named by relative paths, so that the data root can be moved or served as a whole.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from itertools import groupby
from pathlib import Path

from valle.evaluation.report.columns import Column, SystemLine, columns_for
from valle.evaluation.report.markup import (
    definitions,
    header_cell,
    options_html,
    prose,
    relative_link,
    scrollable,
    section_html,
    tag,
)
from valle.evaluation.report.provenance import Provenance, provenance_of
from valle.evaluation.report.sections import Section
from valle.evaluation.report.utterance_table import MOST_ROWS, utterance_table
from valle.evaluation.systems.controls import GROUND_TRUTH
from valle.reporting import Plot, write_text
from warehouse.rows import ScoreRow


@dataclass(frozen=True, slots=True, kw_only=True)
class PageContent:
    """Everything a page shows.

    `systems` and `scores` may hold several normalisers; `normaliser` (a label) is the one shown first. Both are in the
    order in which systems are listed. `explanations` is a Markdown list, `sections` stand below the table of systems.
    `key` is what `page_key` finds again.
    """

    title: str
    method: str
    systems: Sequence[SystemLine]
    scores: Sequence[ScoreRow]
    normaliser: str
    explanations: str = ""
    sections: Sequence[Section] = ()
    plots: Sequence[Plot] = ()
    provenance: Mapping[str, str]
    key: str = ""


def write_page(content: PageContent, directory: Path, *, most_rows: int = MOST_ROWS) -> Path:
    """Write `report.html` into `directory` and return its path."""
    labels = _labels(content)
    origins = {
        key: provenance_of(list(group))
        for key, group in groupby(sorted(content.scores, key=_system_key), key=_system_key)
    }
    main = [
        _systems(content, labels, origins),
        *(section_html(each) for each in content.sections),
        _pictures(content.plots, directory),
        utterance_table(content.scores, labels, directory, most_rows=most_rows),
        _origins(content, origins),
    ]
    page = _PAGE.format(
        key=escape(content.key),
        title=escape(content.title),
        style=_asset("page.css"),
        script=_asset("page.js"),
        method=prose(content.method),
        choice=_choice(labels, content.normaliser),
        main="\n".join(main),
    )
    path = directory / "report.html"
    write_text(path, page)
    return path


def page_key(path: Path) -> str | None:
    """The key of a page that was written before; None without one."""
    if not path.exists():
        return None
    with path.open(encoding="utf-8") as page:
        found = re.search(r'name="content-key" content="([^"]*)"', page.read(400))
    return found.group(1) if found else None


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="content-key" content="{key}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p>{method}</p>
{choice}
</header>
<main>
{main}
</main>
<script>
{script}</script>
</body>
</html>
"""


def _asset(name: str) -> str:
    return files("valle.evaluation.report").joinpath(name).read_text(encoding="utf-8")


def _system_key(row: ScoreRow) -> tuple[str, str]:
    return (row.normaliser, row.system)


def _labels(content: PageContent) -> list[str]:
    """The normalisers of the scores, the chosen one first."""
    known = dict.fromkeys(line.scores.normaliser for line in content.systems)
    return sorted(known, key=lambda label: (label != content.normaliser, label))


def _choice(labels: Sequence[str], chosen: str) -> str:
    box = tag("select", options_html({label: label for label in labels}, chosen), id="normaliser")
    note = "The tables of systems and of utterances follow it."
    return tag("p", tag("label", "Text normaliser " + box) + " " + tag("small", note), class_="choice")


def _hidden(label: str, chosen: str) -> str | None:
    return None if label == chosen else "hidden"


def _systems(content: PageContent, labels: Sequence[str], origins: Mapping[tuple[str, str], Provenance]) -> str:
    columns = columns_for(content.systems)
    head = header_cell("system", numeric=False)
    head += "".join(header_cell(column.heading, numeric=True, meaning=column.meaning) for column in columns)
    bodies = []
    for label in labels:
        members = [line for line in content.systems if line.scores.normaliser == label]
        truth = next((line for line in members if line.scores.system == GROUND_TRUTH), None)
        lines = [_system_line(line, truth, columns, origins[label, line.scores.system]) for line in members]
        bodies.append(tag("tbody", "\n".join(lines), data_normaliser=label, hidden=_hidden(label, content.normaliser)))
    table = tag("table", tag("thead", tag("tr", head)) + "\n".join(bodies), class_="sortable", id="systems")
    return tag("section", tag("h2", "Systems") + scrollable(table, "Systems") + _list(content.explanations))


def _list(markdown: str) -> str:
    """A Markdown list of `- ` lines as HTML; nothing for nothing."""
    items = [tag("li", prose(line.removeprefix("- "))) for line in markdown.splitlines() if line.strip()]
    return tag("ul", "".join(items)) if items else ""


def _system_line(line: SystemLine, truth: SystemLine | None, columns: Sequence[Column], origin: Provenance) -> str:
    name = line.scores.system
    cells = [tag("th", tag("code", escape(name)), scope="row")]
    for column in columns:
        number = column.number(line, truth)
        cells.append(
            tag(
                "td",
                column.text(line, truth),
                class_="number",
                data_value=None if number is None else repr(number),
                title=f"{column.heading}: {column.meaning}. {origin.describe(column.judge)}",
            )
        )
    return tag("tr", "".join(cells), data_system=name)


def _pictures(plots: Sequence[Plot], directory: Path) -> str:
    figures = [
        tag(
            "figure",
            f'<img src="{relative_link(plot.path, directory)}" alt="{escape(plot.caption)}" loading="lazy">'
            + tag("figcaption", escape(plot.caption)),
        )
        for plot in plots
    ]
    return tag("section", tag("h2", "Plots") + tag("div", "".join(figures), class_="figures")) if figures else ""


def _origins(content: PageContent, origins: Mapping[tuple[str, str], Provenance]) -> str:
    parts = [tag("h2", "Provenance"), definitions(content.provenance)]
    for system in dict.fromkeys(line.scores.system for line in content.systems):
        origin = origins.get((content.normaliser, system))
        if origin is None:
            continue
        facts = {
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
        parts.append(tag("details", tag("summary", tag("code", escape(system))) + definitions(facts)))
    return tag("section", "\n".join(parts))
