"""What a flow run leaves in the Prefect UI: Markdown reports that show their plots, and each plot as an artifact."""

import base64
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from prefect.artifacts import create_image_artifact, create_markdown_artifact

from manifests.cards import card, card_kinds
from valle.reporting import Plot
from warehouse.catalogue.display import format_time
from warehouse.shard_runs import ShardReport


def artifact_key(name: str) -> str:
    """A name as Prefect wants its keys: lower case, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def shard_report_table(reports: Iterable[ShardReport]) -> str:
    """One line per stage: shards, rows, drops, yield, audio, time and rate, as a Markdown table."""
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
            f"| {stage} | {len(group)} | {rows:,} | {kept:,} | {dropped:,} | {_share(kept, kept + dropped)} "
            f"| {format_time(audio)} | {format_time(wall)} | {audio / wall if wall else 0:,.1f} |"
        )
    return "\n".join(lines)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def drops_table(reports: Iterable[ShardReport]) -> str:
    """Why rows were dropped, most frequent first; empty when none was."""
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
    sections: Sequence[str] = (),
    plots: Sequence[Plot] = (),
    next_step: str = "",
) -> None:
    """The Markdown report of a run: yield per stage, reasons of drops, further sections, plots, and what to do next."""
    parts = [f"# {name}", shard_report_table(reports)]
    if drops := drops_table(reports):
        parts += ["## Dropped", drops, 'Every dropped row: `valle sql "SELECT * FROM drops"`']
    parts += sections
    parts += [f"{plot.caption}\n\n{_picture(plot.path, plot.caption)}" for plot in plots]
    if next_step:
        parts.append(f"Next: {next_step}")
    create_markdown_artifact(
        markdown="\n\n".join(parts) + "\n", key=artifact_key(f"report {name}"), description=_summary(reports)
    )
    _publish_plots(name, [plot.path for plot in plots])


def _summary(reports: Sequence[ShardReport]) -> str:
    dropped = sum(sum(report.drops.values()) for report in reports)
    return f"{len(reports):,} shards done, {dropped:,} rows dropped"


def publish_report(name: str, markdown: Path, plots: Iterable[Path]) -> None:
    """A report that was written to disk, its plots as images too."""
    plots = list(plots)
    text = markdown.read_text(encoding="utf-8")
    for plot in plots:
        text = _shown(text, plot, plot.relative_to(markdown.parent).as_posix())
    text = _with_paths(text, markdown.parent)
    create_markdown_artifact(markdown=text, key=artifact_key(f"report {name}"), description=name)
    _publish_plots(name, plots)


def publish_card(kind: str) -> str:
    """The card of a corpus as an artifact, and the sentence that links to it; of a kind without a card it says so."""
    if kind not in card_kinds():
        return f"There is no dataset card for corpora of kind {kind}."
    key = artifact_key(f"dataset card {kind}")
    create_markdown_artifact(markdown=card(kind), key=key, description=f"Licence, size and faults of {kind}")
    return (
        f"What is known about this corpus, its licence and its faults: [dataset card of {kind}](/artifacts/key/{key})"
    )


def _shown(text: str, plot: Path, shown_as: str) -> str:
    """The text with the plot itself where it names the file: the server has no file beside a report."""
    shown = re.compile(rf"!\[([^\]]*)\]\({re.escape(shown_as)}\)")
    return shown.sub(lambda found: _picture(plot, found[1]), text)


def _with_paths(text: str, directory: Path) -> str:
    """The text with the full path of a file where it links to one of `directory`: to the server the link is none."""

    def path(link: re.Match[str]) -> str:
        file = directory / link[1]
        return f"`{file}`" if ":" not in link[1] and file.is_file() else link[0]

    return re.sub(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)", path, text)


def _picture(plot: Path, caption: str) -> str:
    return f"![{caption or plot.stem}]({_embedded(plot)})"


def _embedded(plot: Path) -> str:
    """A picture as an address that holds all of it."""
    return f"data:image/png;base64,{base64.b64encode(plot.read_bytes()).decode('ascii')}"


def _publish_plots(name: str, plots: Iterable[Path]) -> None:
    for plot in plots:
        create_image_artifact(
            image_url=_embedded(plot),
            key=artifact_key(f"plot {name} {plot.stem}"),
            description=f"{name}: {plot.stem}",
        )
