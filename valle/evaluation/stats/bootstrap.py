"""Confidence intervals by resampling speakers, not utterances: the lines of one voice succeed and fail together.

Every score here is a ratio of sums (micro WER: errors over words; a mean: values over ones), so that a replica needs
only the sums of each speaker that was drawn.

Percentiles of few clusters are too narrow. They are widened as Hesterberg (2014, "What Teachers Should Know about the
Bootstrap", section 4.2) proposes: the normal quantile is replaced by Student's, times sqrt(n / (n - 1)).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_BLOCK_DRAWS = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapOptions:
    """How intervals are made. The generator is seeded, so that the same rows give the same interval."""

    replicas: int = 10_000
    level: float = 0.95
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A score and its confidence interval; `low` and `high` are None with fewer than two speakers."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Score of A minus score of B on the same utterances; `probability` that A is the lower one."""

    difference: float
    low: float | None
    high: float | None
    probability: float


def _student_quantile(probability: float, degrees: int) -> float:
    """Quantile of Student's t by its Cornish-Fisher expansion (Abramowitz and Stegun, 26.7.5)."""
    z = NormalDist().inv_cdf(probability)
    return (
        z
        + (z**3 + z) / (4 * degrees)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * degrees**3)
    )


def _widened_tail(level: float, num_clusters: int) -> float:
    """The tail probability at which percentiles of `num_clusters` clusters are read."""
    quantile = _student_quantile(0.5 + level / 2, num_clusters - 1)
    return NormalDist().cdf(-quantile * (num_clusters / (num_clusters - 1)) ** 0.5)


def _sums(values: ArrayLike, codes: NDArray[np.intp], num_clusters: int) -> Floats:
    weights = np.asarray(values, dtype=np.float64)
    return np.bincount(codes, weights=weights, minlength=num_clusters).astype(np.float64)


def _replicas(above: Floats, below: Floats, options: BootstrapOptions) -> Floats:
    """The ratio of sums over clusters drawn with replacement, [replicas]; a block of them at a time bounds memory."""
    generator = np.random.default_rng(options.seed)
    num_clusters = len(above)
    block = max(1, _BLOCK_DRAWS // num_clusters)
    ratios = []
    for begin in range(0, options.replicas, block):
        size = min(block, options.replicas - begin)
        drawn = generator.integers(num_clusters, size=(size, num_clusters))
        ratios.append(above[drawn].sum(axis=1) / below[drawn].sum(axis=1))
    return np.concatenate(ratios)


def _interval(replicas: Floats, level: float, num_clusters: int) -> tuple[float, float]:
    tail = _widened_tail(level, num_clusters)
    low, high = np.quantile(replicas, [tail, 1 - tail])
    return float(low), float(high)


def estimate_ratio(
    numerators: ArrayLike,
    denominators: ArrayLike,
    *,
    clusters: Sequence[str],
    options: BootstrapOptions | None = None,
) -> Estimate:
    """sum(numerators) / sum(denominators) with its interval; one entry per utterance, `clusters` names its speaker.

    Raises ValueError when there is nothing to divide by.
    """
    options = options or BootstrapOptions()
    names, codes = np.unique(np.asarray(clusters, dtype=np.str_), return_inverse=True)
    above = _sums(numerators, codes, len(names))
    below = _sums(denominators, codes, len(names))
    if below.sum() <= 0:
        raise ValueError("a ratio needs at least one utterance and a positive denominator")
    value = float(above.sum() / below.sum())
    if len(names) < 2:
        return Estimate(value, None, None)
    low, high = _interval(_replicas(above, below, options), options.level, len(names))
    return Estimate(value, low, high)


def estimate_mean(values: ArrayLike, *, clusters: Sequence[str], options: BootstrapOptions | None = None) -> Estimate:
    """The mean over utterances with its interval."""
    return estimate_ratio(values, np.ones(len(clusters)), clusters=clusters, options=options)


def compare_ratios(
    numerators_a: ArrayLike,
    numerators_b: ArrayLike,
    denominators: ArrayLike,
    *,
    clusters: Sequence[str],
    options: BootstrapOptions | None = None,
) -> PairedDifference:
    """Two systems on the same utterances: both are resampled together (paired, Bisani and Ney 2004).

    `probability` is the share of replicas in which A is lower than B, equal ones counted half: the probability of
    improvement when the score is an error rate.
    """
    options = options or BootstrapOptions()
    names, codes = np.unique(np.asarray(clusters, dtype=np.str_), return_inverse=True)
    delta = _sums(np.asarray(numerators_a, dtype=np.float64) - np.asarray(numerators_b), codes, len(names))
    below = _sums(denominators, codes, len(names))
    difference = float(delta.sum() / below.sum())
    if len(names) < 2:
        return PairedDifference(difference, None, None, 0.5 - 0.5 * float(np.sign(difference)))
    replicas = _replicas(delta, below, options)
    low, high = _interval(replicas, options.level, len(names))
    probability = float(np.mean(replicas < 0) + 0.5 * np.mean(replicas == 0))
    return PairedDifference(difference, low, high, probability)
