"""Scores of a codec at one number of codebooks."""

from dataclasses import dataclass

from valle.evaluation.stats.bootstrap import Estimate, PairedDifference


@dataclass(frozen=True, slots=True, kw_only=True)
class ResynthesisScores:
    """Scores of a codec at one number of codebooks, or of the recordings; rates are fractions, None is not measured."""

    system: str
    bits_per_second: float | None
    wer: Estimate
    added_wer: PairedDifference | None
    cosine: Estimate | None
    lowest_tenth_cosine: float | None
    distillmos: Estimate | None
    dnsmos: Estimate | None
    stoi: Estimate | None
    log_mel_distance: Estimate | None
