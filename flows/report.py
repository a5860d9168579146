"""What a flow run leaves in the Prefect UI: Markdown reports and plots as artifacts."""

import base64
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from prefect.artifacts import create_image_artifact, create_markdown_artifact

from valle.stages.shard import Receipt


def artifact_key(name: str) -> str:
    """A name as Prefect wants its keys: lower case, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def receipts_table(receipts: Iterable[Receipt]) -> str:
    """One line per stage: shards, rows, drops, audio, time and rate, as a Markdown table."""
    lines = [
        "| stage | shards | rows | kept | dropped | audio, s | time, s | times real time |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    by_stage: dict[str, list[Receipt]] = {}
    for receipt in receipts:
        by_stage.setdefault(receipt.stage, []).append(receipt)
    for stage, group in by_stage.items():
        audio, wall = sum(r.audio_seconds for r in group), sum(r.wall_seconds for r in group)
        rows, kept = sum(r.rows_in for r in group), sum(r.rows_out for r in group)
        dropped = sum(sum(r.drops.values()) for r in group)
        lines.append(
            f"| {stage} | {len(group)} | {rows} | {kept} | {dropped} | {audio:,.0f} | {wall:,.1f} "
            f"| {audio / wall if wall else 0:,.1f} |"
        )
    return "\n".join(lines)


def drops_table(receipts: Iterable[Receipt]) -> str:
    """Why rows were dropped, most frequent first; empty when none was."""
    counts: Counter[tuple[str, str]] = Counter()
    for receipt in receipts:
        for reason, count in receipt.drops.items():
            counts[receipt.stage, reason] += count
    if not counts:
        return ""
    lines = ["| stage | reason | rows |", "| --- | --- | ---: |"]
    lines += [f"| {stage} | {reason} | {count} |" for (stage, reason), count in counts.most_common()]
    return "\n".join(lines)


def publish_receipts(name: str, receipts: Sequence[Receipt], *, next_step: str = "") -> None:
    """The Markdown report of a run: yield per stage, reasons of drops, and what to do next."""
    content = f"# {name}\n\n{receipts_table(receipts)}\n"
    if drops := drops_table(receipts):
        content += f'\n## Dropped\n\n{drops}\n\nEvery dropped row: `valle sql "SELECT * FROM drops"`\n'
    if next_step:
        content += f"\nNext: {next_step}\n"
    create_markdown_artifact(markdown=content, key=artifact_key(f"report {name}"), description=name)


def publish_report(name: str, markdown: Path, plots: Iterable[Path]) -> None:
    """A report that was written to disk, and its plots as images."""
    create_markdown_artifact(
        markdown=markdown.read_text(encoding="utf-8"), key=artifact_key(f"report {name}"), description=name
    )
    for plot in plots:
        encoded = base64.b64encode(plot.read_bytes()).decode("ascii")
        create_image_artifact(
            image_url=f"data:image/png;base64,{encoded}",
            key=artifact_key(f"plot {name} {plot.stem}"),
            description=f"{name}: {plot.stem}",
        )
