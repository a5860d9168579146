"""Does speech fall apart towards its end? Word errors by quarter of the text, the quantile metric of tts_longeval.

A word of the reference lies in the quarter of its place, whether it was heard or not; an added word lies in the
quarter of the word before it. The errors of the quarters add up to all errors of the line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from valle.evaluation.report.columns import format_estimate
from valle.evaluation.report.sections import Cell, Section, section
from valle.evaluation.stats.bootstrap import BootstrapOptions, Estimate, estimate_ratio
from valle.text.errors import align_words
from warehouse.rows import ScoreRow

NUM_QUARTERS = 4

LONG_SECONDS = 20.0
"""Speech from here on is long: a model that was trained on utterances has seen little of this length."""


@dataclass(frozen=True, slots=True)
class QuarterErrors:
    """Errors and words of the reference in each quarter of one line, or of many."""

    errors: tuple[int, ...]
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Micro WER of each quarter, a fraction; None for a quarter that holds no word."""

    quarters: tuple[Estimate | None, ...]
    num_scores: int
    num_long: int

    @property
    def ratio(self) -> float | None:
        """WER of the last quarter over that of the first: 1 is no drift; None where the first has no error."""
        first, last = self.quarters[0], self.quarters[-1]
        return last.value / first.value if first is not None and last is not None and first.value > 0 else None


def quarter_errors(reference: str, hypothesis: str) -> QuarterErrors:
    """Word errors of one line by quarter of its reference, both normalised."""
    num_words = len(reference.split())
    errors, words = [0] * NUM_QUARTERS, [0] * NUM_QUARTERS
    place, quarter = 0, 0
    for column in align_words(reference, hypothesis):
        if column.reference is not None:
            quarter = NUM_QUARTERS * place // num_words
            words[quarter] += 1
            place += 1
        errors[quarter] += column.mark != "="
    return QuarterErrors(tuple(errors), tuple(words))


def measure_drift(rows: Sequence[ScoreRow], *, options: BootstrapOptions | None = None) -> Drift:
    """Micro WER by quarter over the rows of one system, with intervals by speaker."""
    counts = [quarter_errors(row.reference, row.hypothesis) for row in rows]
    speakers = [row.speaker for row in rows]
    quarters = []
    for quarter in range(NUM_QUARTERS):
        words = [count.words[quarter] for count in counts]
        # Lines of one word have none in later quarters; a replica of only such speakers would divide by zero.
        kept = [place for place, number in enumerate(words) if number]
        quarters.append(
            estimate_ratio(
                [counts[place].errors[quarter] for place in kept],
                [words[place] for place in kept],
                clusters=[speakers[place] for place in kept],
                options=options,
            )
            if kept
            else None
        )
    return Drift(
        quarters=tuple(quarters),
        num_scores=len(rows),
        num_long=sum((row.duration or 0) > LONG_SECONDS for row in rows),
    )


def drift_section(rows_by_system: Mapping[str, Sequence[ScoreRow]], options: BootstrapOptions) -> Section:
    """The table of a report: a line per system."""
    rows: list[list[Cell]] = []
    for system, scores in rows_by_system.items():
        drift = measure_drift(scores, options=options)
        cells = ["-" if each is None else format_estimate(each, 100, 2) for each in drift.quarters]
        ratio = "-" if drift.ratio is None else f"{drift.ratio:.2f}"
        rows.append([f"`{system}`", *cells, ratio, drift.num_long])
    return section(
        "Drift",
        ["WER %", "first quarter", "second", "third", "last quarter", "last / first", f"over {LONG_SECONDS:.0f} s"],
        rows,
        intro="Word errors by quarter of the text: speech that falls apart has more towards the end.",
    )
