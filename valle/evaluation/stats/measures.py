"""Aggregate what is measured besides words and speaker: means over the rows of a system, with intervals.

Missing speech is never skipped: it counts as the worst value of each scale. A measure that none of the rows has is
left out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from valle.evaluation.metrics.defects import ended_early
from valle.evaluation.stats.bootstrap import BootstrapOptions, Estimate, estimate_ratio
from warehouse.model_rows import ScoreRow

_REPEATED_WORDS = 2
_LONG_SILENCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A ratio of sums over rows: `read` returns numerator and denominator of one row, None where not measured.

    `missing` is the pair of a row without speech, None where such rows do not count.
    """

    name: str
    read: Callable[[ScoreRow], tuple[float, float] | None]
    missing: tuple[float, float] | None


def all_measures() -> tuple[Measure, ...]:
    """Return every measure. Rates are fractions, quality scores 1 to 5, times in seconds."""
    return (
        # The phonemes of missing speech are in its row already: all of them are errors.
        Measure(name="per", read=_phonemes, missing=None),
        Measure(name="sim_r", read=lambda row: _single(row.sim_r), missing=(0.0, 1.0)),
        Measure(name="dnsmos", read=lambda row: _single(row.dnsmos_ovrl), missing=(1.0, 1.0)),
        Measure(name="distillmos", read=lambda row: _single(row.distillmos), missing=(1.0, 1.0)),
        Measure(name="duration_error", read=_duration_error, missing=(1.0, 1.0)),
        Measure(name="repetition", read=lambda row: _reaches(row.repeated_words, _REPEATED_WORDS), missing=None),
        Measure(name="early_end", read=_early_end, missing=(1.0, 1.0)),
        Measure(name="faulty", read=_faulty, missing=(1.0, 1.0)),
        Measure(
            name="long_silence",
            read=lambda row: _reaches(row.longest_silence, _LONG_SILENCE_SECONDS),
            missing=(1.0, 1.0),
        ),
        Measure(name="first_audio", read=lambda row: _single(row.first_audio_seconds), missing=None),
    )


def estimate_measures(rows: Sequence[ScoreRow], *, options: BootstrapOptions | None = None) -> Mapping[str, Estimate]:
    """Return the measures of one system by name, with intervals by speaker."""
    estimates = {}
    for measure in all_measures():
        if not any(measure.read(row) is not None for row in rows):
            continue
        counted = [(pair, row.speaker) for row in rows if (pair := _pair(measure, row)) is not None]
        estimates[measure.name] = estimate_ratio(
            [pair[0] for pair, _ in counted],
            [pair[1] for pair, _ in counted],
            clusters=[speaker for _, speaker in counted],
            options=options,
        )
    return estimates


def _pair(measure: Measure, row: ScoreRow) -> tuple[float, float] | None:
    return measure.read(row) if row.path is not None or measure.missing is None else measure.missing


def _single(value: float | None) -> tuple[float, float] | None:
    return None if value is None else (value, 1.0)


def _reaches(value: float | None, threshold: float) -> tuple[float, float] | None:
    return None if value is None else (float(value >= threshold), 1.0)


def _early_end(row: ScoreRow) -> tuple[float, float] | None:
    return None if row.duration is None else (float(ended_early(row.duration, row.num_words)), 1.0)


def _faulty(row: ScoreRow) -> tuple[float, float] | None:
    repeated, early = _reaches(row.repeated_words, _REPEATED_WORDS), _early_end(row)
    return None if repeated is None or early is None else max(repeated, early)


def _phonemes(row: ScoreRow) -> tuple[float, float] | None:
    if row.phoneme_errors is None or not row.num_phonemes:
        return None
    return float(row.phoneme_errors), float(row.num_phonemes)


def _duration_error(row: ScoreRow) -> tuple[float, float] | None:
    if row.duration is None or not row.reference_duration:
        return None
    return abs(row.duration / row.reference_duration - 1), 1.0
