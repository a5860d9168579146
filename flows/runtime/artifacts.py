"""Reports of a flow run: files below the data root, and artifacts in the Prefect UI.

Markdown reports are published with their plots, and each plot as an image. A command without a server writes the files
only.
"""

import base64
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect.artifacts import create_image_artifact, create_markdown_artifact, create_table_artifact

from flows.runtime.where import is_on_server
from manifests.cards import card, card_kinds
from valle.reporting import Plot, write_text
from warehouse.catalogue.display import format_time
from warehouse.shard_runs import ShardReport


def artifact_key(name: str) -> str:
    """Return a name as a key of Prefect: lower case, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def shard_report_table(reports: Iterable[ShardReport]) -> str:
    """Format shards, rows, drops, yield, audio, time and rate per stage as a Markdown table."""
    lines = [
        "| stage | shards | rows | kept | dropped | yield | audio | worker time | times real time |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    by_stage: dict[str, list[ShardReport]] = {}
    for report in reports:
        by_stage.setdefault(report.stage, []).append(report)
    for stage, group in by_stage.items():
        audio, wall = sum(r.audio_seconds for r in group), sum(r.wall_seconds for r in group)
        rows, kept = sum(r.rows_in for r in group), sum(r.rows_out for r in group)
        dropped = sum(sum(r.drops.values()) for r in group)
        lines.append(
            f"| {stage} | {len(group)} | {rows:,} | {kept:,} | {dropped:,} | {_percent(kept, kept + dropped)} "
            f"| {format_time(audio)} | {format_time(wall)} | {audio / wall if wall else 0:,.1f} |"
        )
    return "\n".join(lines)


def _percent(count: int, total: int) -> str:
    return f"{100 * count / total:.1f} %" if total else "-"


def drops_table(reports: Iterable[ShardReport]) -> str:
    """Format the reasons of drops as a Markdown table, most frequent first; empty without drops."""
    counts: Counter[tuple[str, str]] = Counter()
    for report in reports:
        for reason, count in report.drops.items():
            counts[report.stage, reason] += count
    if not counts:
        return ""
    lines = ["| stage | reason | rows |", "| --- | --- | ---: |"]
    lines += [f"| {stage} | {reason} | {count} |" for (stage, reason), count in counts.most_common()]
    return "\n".join(lines)


def publish_shard_reports(
    name: str,
    reports: Sequence[ShardReport],
    *,
    folder: Path,
    sections: Sequence[str] = (),
    plots: Sequence[Plot] = (),
    next_step: str = "",
) -> None:
    """Publish the report of a run: yield per stage, drops, further sections, plots, and the next command.

    Its file is `<name>.md` in `folder`, the reports of the data root.
    """
    parts = [f"# {name}", shard_report_table(reports)]
    if drops := drops_table(reports):
        parts += ["## Dropped", drops, 'Every dropped row: `valle sql "SELECT * FROM drops"`']
    parts += sections
    ending = [f"Next: {next_step}"] if next_step else []
    links = [f"{plot.caption}\n\n![{plot.caption}]({os.path.relpath(plot.path, folder)})" for plot in plots]
    write_text(folder / f"{artifact_key(name)}.md", "\n\n".join([*parts, *links, *ending]) + "\n")
    pictures = [f"{plot.caption}\n\n{_picture(plot.path, plot.caption)}" for plot in plots]
    publish_markdown(f"report {name}", "\n\n".join([*parts, *pictures, *ending]) + "\n", _summary(reports))
    _publish_plots(name, [plot.path for plot in plots])


def _summary(reports: Sequence[ShardReport]) -> str:
    dropped = sum(sum(report.drops.values()) for report in reports)
    return f"{len(reports):,} shards done, {dropped:,} rows dropped"


def publish_report(name: str, markdown: Path, plots: Iterable[Path]) -> None:
    """Publish a report from disk, and its plots as images."""
    plots = list(plots)
    text = markdown.read_text(encoding="utf-8")
    for plot in plots:
        text = _embed_plot(text, plot, plot.relative_to(markdown.parent).as_posix())
    text = _with_paths(text, markdown.parent)
    publish_markdown(f"report {name}", text, name)
    _publish_plots(name, plots)


def publish_card(kind: str) -> str:
    """Publish the dataset card of a corpus and return a sentence that links to it, or that there is no card."""
    if kind not in card_kinds():
        return f"There is no dataset card for corpora of kind {kind}."
    name = f"dataset card {kind}"
    publish_markdown(name, card(kind), f"Licence, size and faults of {kind}")
    key = artifact_key(name)
    if not is_on_server():
        return f"Licence, size and faults of this corpus: `manifests/cards/{kind}.md`"
    return f"Licence, size and faults of this corpus: [dataset card of {kind}](/artifacts/key/{key})"


def _embed_plot(text: str, plot: Path, file_name: str) -> str:
    """Replace the link to a plot by the plot itself: the server has no file beside a report."""
    link = re.compile(rf"!\[([^\]]*)\]\({re.escape(file_name)}\)")
    return link.sub(lambda found: _picture(plot, found[1]), text)


def _with_paths(text: str, directory: Path) -> str:
    """Replace links to files of `directory` by their full paths, since the server cannot follow such links."""

    def path(link: re.Match[str]) -> str:
        file = directory / link[1]
        return f"`{file}`" if ":" not in link[1] and file.is_file() else link[0]

    return re.sub(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)", path, text)


def _picture(plot: Path, caption: str) -> str:
    return f"![{caption or plot.stem}]({_embedded(plot)})"


def _embedded(plot: Path) -> str:
    """Return a picture as a data URL."""
    return f"data:image/png;base64,{base64.b64encode(plot.read_bytes()).decode('ascii')}"


def publish_markdown(name: str, markdown: str, description: str) -> None:
    """Publish a text in the UI, if there is a server."""
    if is_on_server():
        create_markdown_artifact(markdown=markdown, key=artifact_key(name), description=description)


def publish_table(name: str, table: Sequence[Mapping[str, Any]], description: str) -> None:
    """Publish a table in the UI, if there is a server."""
    if is_on_server():
        create_table_artifact(table=[dict(row) for row in table], key=artifact_key(name), description=description)


def _publish_plots(name: str, plots: Iterable[Path]) -> None:
    if not is_on_server():
        return
    # The image itself as URL: the browser cannot open files of this machine.
    for plot in plots:
        create_image_artifact(
            image_url=_embedded(plot),
            key=artifact_key(f"plot {name} {plot.stem}"),
            description=f"{name}: {plot.stem}",
        )
