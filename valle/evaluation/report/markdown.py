"""Render the content of a report as Markdown."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from valle.evaluation.report.columns import columns_for
from valle.evaluation.report.content import ReportContent, SystemLine
from valle.evaluation.report.sections import Section
from valle.evaluation.stats.aggregate import worst_first
from valle.evaluation.systems.base import GROUND_TRUTH, PROMPT_COPIED, SHUFFLED_SPEAKER
from valle.reporting import markdown_rows
from valle.text.errors import AlignedWord, align_words
from warehouse.model_rows import ScoreRow

_NUM_WORST = 10

# Controls whose words are not of interest: the recordings again, and the prompt.
_WITHOUT_WORDS = (SHUFFLED_SPEAKER, PROMPT_COPIED)


def report_markdown(content: ReportContent, directory: Path) -> str:
    """Render a report for a file in `directory`."""
    rows = [row for row in content.scores if row.normaliser == content.normaliser]
    by_system = {name: list(members) for name, members in groupby(rows, key=lambda row: row.system)}
    shown = [line for line in content.systems if line.scores.normaliser == content.normaliser]
    blocks = [
        f"# {content.title}",
        "The same with every utterance, sortable and with players: [report.html](report.html).",
        content.method,
        _systems_table(shown),
        "\n".join(f"- {sentence}" for sentence in content.explanations),
        *(section_markdown(section) for section in content.sections),
        "## Plots",
        *(
            f"![{plot.caption}]({plot.path.relative_to(directory).as_posix()})\n\n{plot.caption}"
            for plot in content.plots
        ),
        worst_utterances_markdown({name: by_system[name] for name in by_system if name not in _WITHOUT_WORDS}),
        _provenance(content.provenance),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def section_markdown(content: Section) -> str:
    """Render a section as Markdown, with its heading at level two."""
    table = markdown_rows(content.header, content.rows, numeric=content.numeric) if content.rows else ""
    return "\n\n".join(block for block in (f"## {content.heading}", content.intro, table, content.note) if block)


def _systems_table(lines: Sequence[SystemLine]) -> str:
    # SIM-o is also shown relative to the recordings.
    truth = next((line for line in lines if line.scores.system == GROUND_TRUTH), None)
    columns = columns_for(lines)
    header = ["system", *(column.heading for column in columns)]
    rows = [[f"`{line.scores.system}`", *(column.text(line, truth) for column in columns)] for line in lines]
    return markdown_rows(header, rows, numeric=[False] + [True] * len(columns))


def _provenance(provenance: Mapping[str, str]) -> str:
    rows = [[name, f"`{value}`"] for name, value in provenance.items()]
    return "## Provenance\n\n" + markdown_rows(["what", "value"], rows, numeric=[False, False])


def _aligned_column(word: AlignedWord) -> tuple[str, str, str]:
    reference, hypothesis = word.reference or "*", word.hypothesis or "*"
    width = max(len(reference), len(hypothesis))
    mark = "" if word.mark == "=" else word.mark
    return reference.ljust(width), hypothesis.ljust(width), mark.ljust(width)


def format_alignment(row: ScoreRow, *, width: int = 100) -> str:
    """Format reference above hypothesis above marks (S, D, I), in lines of at most `width` characters."""
    blocks: list[list[tuple[str, str, str]]] = [[]]
    used = 0
    for word in align_words(row.reference, row.hypothesis):
        column = _aligned_column(word)
        if blocks[-1] and used + len(column[0]) + 1 > width:
            blocks.append([])
            used = 0
        blocks[-1].append(column)
        used += len(column[0]) + 1
    lines = []
    for block in blocks:
        for label, cells in zip(("ref ", "hyp ", "    "), zip(*block, strict=True), strict=True):
            lines.append((label + " ".join(cells)).rstrip())
    return "\n".join(line for line in lines if line)


def worst_utterances_markdown(rows_by_system: Mapping[str, Sequence[ScoreRow]]) -> str:
    """Render the utterances of each system with the highest word error rates."""
    blocks = ["## Worst utterances"]
    for system, rows in rows_by_system.items():
        wrong = sorted((row for row in rows if row.word_errors > 0), key=worst_first)
        blocks.append(f"### `{system}`: {len(wrong)} of {len(rows)} with errors")
        for row in wrong[:_NUM_WORST]:
            sim = "-" if row.sim_o is None else f"{row.sim_o:.3f}"
            missing = f"missing ({row.failure})" if row.failure else "missing"
            location = missing if row.path is None else f"`{row.path}`"
            blocks.append(
                f"`{row.utterance}` trial {row.trial}, {row.word_errors} errors in {row.num_words} words, "
                f"SIM-o {sim}, {location}\n\n```text\n{format_alignment(row)}\n```"
            )
    return "\n\n".join(blocks)
