"""What is measured of speech beside its words and its voice: means over the rows of a system, with intervals.

Missing speech is never skipped: it counts as the worst value of each scale. A measure that was taken of none of the
rows has no value at all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from valle.evaluation.metrics.defects import ended_early
from valle.evaluation.stats.bootstrap import BootstrapOptions, Estimate, estimate_ratio
from warehouse.rows import ScoreRow

_REPEATED_WORDS = 2
_LONG_SILENCE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A ratio of sums over rows: `read` gives numerator and denominator of one row, None where it was not measured.

    `missing` is the pair of a row without speech, None where such a row says nothing.
    """

    name: str
    read: Callable[[ScoreRow], tuple[float, float] | None]
    missing: tuple[float, float] | None


def all_measures() -> tuple[Measure, ...]:
    """Every measure. Rates are fractions, opinions 1 to 5, times in seconds."""
    return (
        Measure(name="per", read=_phonemes, missing=None),
        Measure(name="sim_r", read=lambda row: _one(row.sim_r), missing=(0.0, 1.0)),
        Measure(name="dnsmos", read=lambda row: _one(row.dnsmos_ovrl), missing=(1.0, 1.0)),
        Measure(name="distillmos", read=lambda row: _one(row.distillmos), missing=(1.0, 1.0)),
        Measure(name="duration_error", read=_duration_error, missing=(1.0, 1.0)),
        Measure(name="repetition", read=lambda row: _share(row.repeated_words, _REPEATED_WORDS), missing=None),
        Measure(name="early_end", read=_early_end, missing=(1.0, 1.0)),
        Measure(name="faulty", read=_faulty, missing=(1.0, 1.0)),
        Measure(name="long_silence", read=lambda row: _share(row.longest_silence, _LONG_SILENCE), missing=(1.0, 1.0)),
        Measure(name="first_audio", read=lambda row: _one(row.first_audio_seconds), missing=None),
    )


def estimate_measures(rows: Sequence[ScoreRow], *, options: BootstrapOptions | None = None) -> Mapping[str, Estimate]:
    """The measures of one system by name, with intervals by speaker; those that nobody took are left out."""
    estimates = {}
    for measure in all_measures():
        found = [(pair, row.speaker) for row in rows if (pair := _pair(measure, row)) is not None]
        if not any(measure.read(row) is not None for row in rows):
            continue
        estimates[measure.name] = estimate_ratio(
            [pair[0] for pair, _ in found],
            [pair[1] for pair, _ in found],
            clusters=[speaker for _, speaker in found],
            options=options,
        )
    return estimates


def _pair(measure: Measure, row: ScoreRow) -> tuple[float, float] | None:
    # The phonemes of missing speech are counted already: all of them are errors.
    return measure.read(row) if row.path is not None or measure.missing is None else measure.missing


def _one(value: float | None) -> tuple[float, float] | None:
    return None if value is None else (value, 1.0)


def _share(value: float | None, threshold: float) -> tuple[float, float] | None:
    return None if value is None else (float(value >= threshold), 1.0)


def _early_end(row: ScoreRow) -> tuple[float, float] | None:
    return None if row.duration is None else (float(ended_early(row.duration, row.num_words)), 1.0)


def _faulty(row: ScoreRow) -> tuple[float, float] | None:
    repeated, early = _share(row.repeated_words, _REPEATED_WORDS), _early_end(row)
    return None if repeated is None or early is None else max(repeated, early)


def _phonemes(row: ScoreRow) -> tuple[float, float] | None:
    if row.phoneme_errors is None or not row.num_phonemes:
        return None
    return float(row.phoneme_errors), float(row.num_phonemes)


def _duration_error(row: ScoreRow) -> tuple[float, float] | None:
    if row.duration is None or not row.reference_duration:
        return None
    return abs(row.duration / row.reference_duration - 1), 1.0
