"""Compute bootstrap confidence intervals that resample speakers, because utterances of one speaker are correlated.

Every score is a ratio of sums (micro WER: errors over words; a mean: values over ones), so that a replica needs only
the sums of each speaker that was drawn.

Percentiles of few clusters are too narrow. They are widened as Hesterberg (2014, "What Teachers Should Know about the
Bootstrap", section 4.2) proposes: the normal quantile is replaced by Student's, times sqrt(n / (n - 1)).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, stdtrit

Floats = NDArray[np.float64]

# Draws that are in memory at once: 32 MB of indices.
_BLOCK_DRAWS = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapOptions:
    """Options of the bootstrap. The generator is seeded, so that the same rows give the same interval."""

    replicas: int = 10_000
    confidence: float = 0.95
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A score and its confidence interval; `low` and `high` are None with fewer than two speakers."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Score of A minus score of B on the same utterances, and the `probability` that A is lower."""

    difference: float
    low: float | None
    high: float | None
    probability: float


def _widened_tail(confidence: float, num_clusters: int) -> float:
    """Return the tail probability at which percentiles over `num_clusters` clusters are read."""
    # `scipy.stats.t.ppf` and `norm.cdf` call these two; the module of distributions takes half a second to import.
    quantile = stdtrit(num_clusters - 1, 0.5 + confidence / 2)
    return float(ndtr(-quantile * (num_clusters / (num_clusters - 1)) ** 0.5))


def _sums(values: ArrayLike, codes: NDArray[np.intp], num_clusters: int) -> Floats:
    weights = np.asarray(values, dtype=np.float64)
    return np.bincount(codes, weights=weights, minlength=num_clusters).astype(np.float64)


def _denominator_sums(values: ArrayLike, codes: NDArray[np.intp], num_clusters: int) -> Floats:
    sums = _sums(values, codes, num_clusters)
    if num_clusters == 0 or sums.min() <= 0:
        raise ValueError("a ratio needs at least one utterance, and a positive denominator of every speaker")
    return sums


def _replicas(numerators: Floats, denominators: Floats, options: BootstrapOptions) -> Floats:
    """Return the ratio of sums over clusters drawn with replacement, [replicas]; blocks of replicas bound memory."""
    # The same seed everywhere: equal rows have equal intervals, and systems see the same draws.
    generator = np.random.default_rng(options.seed)
    num_clusters = len(numerators)
    block_size = max(1, _BLOCK_DRAWS // num_clusters)
    ratios = []
    for begin in range(0, options.replicas, block_size):
        size = min(block_size, options.replicas - begin)
        drawn = generator.integers(num_clusters, size=(size, num_clusters))
        ratios.append(numerators[drawn].sum(axis=1) / denominators[drawn].sum(axis=1))
    return np.concatenate(ratios)


def _interval(replicas: Floats, confidence: float, num_clusters: int) -> tuple[float, float]:
    tail = _widened_tail(confidence, num_clusters)
    low, high = np.quantile(replicas, [tail, 1 - tail])
    return float(low), float(high)


def estimate_ratio(
    numerators: ArrayLike,
    denominators: ArrayLike,
    *,
    clusters: Sequence[str],
    options: BootstrapOptions | None = None,
) -> Estimate:
    """Return sum(numerators) / sum(denominators) with its interval.

    There is one entry per utterance, and `clusters` names its speaker. Raise ValueError when the sum of the
    denominators of a cluster is zero, since a replica of that cluster alone would have no value.
    """
    options = options or BootstrapOptions()
    # A replica draws clusters, so that only their sums are needed.
    names, codes = np.unique(np.asarray(clusters, dtype=np.str_), return_inverse=True)
    numerator_sums = _sums(numerators, codes, len(names))
    denominator_sums = _denominator_sums(denominators, codes, len(names))
    value = float(numerator_sums.sum() / denominator_sums.sum())
    if len(names) < 2:
        return Estimate(value, None, None)
    low, high = _interval(_replicas(numerator_sums, denominator_sums, options), options.confidence, len(names))
    return Estimate(value, low, high)


def estimate_mean(values: ArrayLike, *, clusters: Sequence[str], options: BootstrapOptions | None = None) -> Estimate:
    """Return the mean over utterances with its interval."""
    return estimate_ratio(values, np.ones(len(clusters)), clusters=clusters, options=options)


def compare_ratios(
    numerators_a: ArrayLike,
    numerators_b: ArrayLike,
    denominators: ArrayLike,
    *,
    clusters: Sequence[str],
    options: BootstrapOptions | None = None,
) -> PairedDifference:
    """Compare two systems on the same utterances, resampled together (Bisani and Ney 2004).

    `probability` is the fraction of replicas in which A is lower than B, ties counted half: the probability of
    improvement when the score is an error rate. Raise ValueError as `estimate_ratio` does.
    """
    options = options or BootstrapOptions()
    names, codes = np.unique(np.asarray(clusters, dtype=np.str_), return_inverse=True)
    delta = _sums(np.asarray(numerators_a, dtype=np.float64) - np.asarray(numerators_b), codes, len(names))
    denominator_sums = _denominator_sums(denominators, codes, len(names))
    difference = float(delta.sum() / denominator_sums.sum())
    if len(names) < 2:
        # One cluster gives no distribution, only the sign of the difference.
        return PairedDifference(difference, None, None, 0.5 - 0.5 * float(np.sign(difference)))
    replicas = _replicas(delta, denominator_sums, options)
    low, high = _interval(replicas, options.confidence, len(names))
    probability = float(np.mean(replicas < 0) + 0.5 * np.mean(replicas == 0))
    return PairedDifference(difference, low, high, probability)
