"""The utterances that went most wrong, with the words side by side."""

from collections.abc import Mapping, Sequence

from valle.evaluation.stats.aggregate import worst_first
from valle.text.errors import AlignedWord, align_words
from warehouse.rows import ScoreRow

_NUM_WORST = 10


def _column(word: AlignedWord) -> tuple[str, str, str]:
    reference, hypothesis = word.reference or "*", word.hypothesis or "*"
    width = max(len(reference), len(hypothesis))
    mark = "" if word.mark == "=" else word.mark
    return reference.ljust(width), hypothesis.ljust(width), mark.ljust(width)


def format_alignment(row: ScoreRow, *, width: int = 100) -> str:
    """Reference above hypothesis above marks (S, D, I), in lines of at most `width` characters."""
    blocks: list[list[tuple[str, str, str]]] = [[]]
    used = 0
    for word in align_words(row.reference, row.hypothesis):
        column = _column(word)
        if blocks[-1] and used + len(column[0]) + 1 > width:
            blocks.append([])
            used = 0
        blocks[-1].append(column)
        used += len(column[0]) + 1
    lines = []
    for block in blocks:
        for label, parts in zip(("ref ", "hyp ", "    "), zip(*block, strict=True), strict=True):
            lines.append((label + " ".join(parts)).rstrip())
    return "\n".join(line for line in lines if line)


def describe_worst(rows_by_system: Mapping[str, Sequence[ScoreRow]]) -> str:
    """The section of a report that shows the utterances of each system with the highest word error rates."""
    parts = ["## Worst utterances"]
    for system, rows in rows_by_system.items():
        wrong = sorted((row for row in rows if row.word_errors > 0), key=worst_first)
        parts.append(f"### `{system}`: {len(wrong)} of {len(rows)} with errors")
        for row in wrong[:_NUM_WORST]:
            sim = "-" if row.sim_o is None else f"{row.sim_o:.3f}"
            where = "missing" if row.path is None else f"`{row.path}`"
            parts.append(
                f"`{row.utterance}` trial {row.trial}, {row.word_errors} errors in {row.num_words} words, "
                f"SIM-o {sim}, {where}\n\n```text\n{format_alignment(row)}\n```"
            )
    return "\n\n".join(parts)
