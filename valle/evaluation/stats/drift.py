"""Aggregate word errors and speaker similarity by quarter of the speech, with intervals by speaker."""

from collections.abc import Sequence
from dataclasses import dataclass

from valle.backends.speaker.base import SpeakerEncoder
from valle.evaluation.metrics.drift import LONG_SECONDS, NUM_QUARTERS, quarter_errors, quarter_similarities
from valle.evaluation.stats.bootstrap import BootstrapOptions, Estimate, estimate_mean, estimate_ratio
from valle.evaluation.systems.base import system_rank
from warehouse.model_rows import ScoreRow


@dataclass(frozen=True, slots=True, kw_only=True)
class WordDrift:
    """Micro WER of each quarter of the text, a fraction; None for a quarter without words."""

    quarters: tuple[Estimate | None, ...]
    num_scores: int
    num_long: int

    @property
    def ratio(self) -> float | None:
        """WER of the last quarter over that of the first: 1 is no drift; None where the first has no error."""
        first, last = self.quarters[0], self.quarters[-1]
        return last.value / first.value if first is not None and last is not None and first.value > 0 else None


@dataclass(frozen=True, slots=True)
class SpeakerDrift:
    """Mean SIM-o of each quarter of the duration, over the long speech of a system."""

    system: str
    quarters: tuple[Estimate, ...]
    num_scores: int


def estimate_word_drift(rows: Sequence[ScoreRow], *, options: BootstrapOptions | None = None) -> WordDrift:
    """Return micro WER by quarter over the rows of one system."""
    counts = [quarter_errors(row.reference, row.hypothesis) for row in rows]
    quarters = []
    for quarter in range(NUM_QUARTERS):
        # Texts of one word have none in later quarters; a replica of only such speakers would divide by zero.
        present = [(count, row.speaker) for count, row in zip(counts, rows, strict=True) if count.words[quarter]]
        quarters.append(
            estimate_ratio(
                [count.errors[quarter] for count, _ in present],
                [count.words[quarter] for count, _ in present],
                clusters=[speaker for _, speaker in present],
                options=options,
            )
            if present
            else None
        )
    return WordDrift(
        quarters=tuple(quarters),
        num_scores=len(rows),
        num_long=sum((row.duration or 0) > LONG_SECONDS for row in rows),
    )


def estimate_speaker_drift(
    rows: Sequence[ScoreRow], encoder: SpeakerEncoder, *, options: BootstrapOptions | None = None
) -> list[SpeakerDrift]:
    """Return SIM-o by quarter for every system with long speech."""
    by_system: dict[str, list[tuple[tuple[float, ...], str]]] = {}
    for measured in quarter_similarities(rows, encoder):
        by_system.setdefault(measured.system, []).append((measured.cosines, measured.speaker))
    drifts = []
    for system in sorted(by_system, key=system_rank):
        speakers = [speaker for _, speaker in by_system[system]]
        columns = zip(*(cosines for cosines, _ in by_system[system]), strict=True)
        quarters = tuple(estimate_mean(column, clusters=speakers, options=options) for column in columns)
        drifts.append(SpeakerDrift(system, quarters, len(speakers)))
    return drifts
