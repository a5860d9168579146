"""Mirostat (Basu et al., arXiv 2007.14966, algorithm 1): adapt top-k so that the surprise of codes meets a target."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from valle.synthesis.options import MirostatOptions
from valle.synthesis.samplers.draws import draw

# Ratios of successive probabilities that estimate the exponent of Zipf's law (m of the paper).
_MOST_RATIOS = 100


@dataclass(frozen=True, slots=True)
class MirostatState:
    """State of one utterance between frames: the surprise in bits that k is chosen for."""

    mu: float


def start_mirostat(options: MirostatOptions) -> MirostatState:
    """Return the state before the first frame: mu = 2 tau, as in the paper."""
    return MirostatState(2 * options.tau)


def draw_mirostat(
    logits: Tensor, state: MirostatState, *, options: MirostatOptions, generator: torch.Generator
) -> tuple[int, MirostatState]:
    """Draw an id from the k likeliest of logits [V] and update mu by the error of its surprise."""
    log_probabilities = logits.double().log_softmax(-1)
    ordered, order = log_probabilities.sort(descending=True, stable=True)
    k = choose_k(zipf_exponent(ordered), state.mu, size=int(ordered.isfinite().sum()))
    code = int(order[draw(ordered[None, :k], 1.0, generator)])
    surprise = -float(log_probabilities[code]) / math.log(2)
    return code, MirostatState(state.mu - options.eta * (surprise - options.tau))


def zipf_exponent(ordered: Tensor) -> float:
    """Fit the exponent of Zipf's law to log-probabilities [V], largest first, by least squares (equation 30)."""
    ordered = ordered[ordered.isfinite()][: _MOST_RATIOS + 1]
    ranks = torch.arange(1, len(ordered) + 1, dtype=ordered.dtype)
    steps = (ranks[1:] / ranks[:-1]).log()
    drops = (ordered[:-1] - ordered[1:]).cpu()
    return float((steps * drops).sum() / (steps * steps).sum()) if len(steps) else math.inf


def choose_k(exponent: float, mu: float, *, size: int) -> int:
    """Return how many of `size` entries have a cross-entropy of about `mu` bits; at least 1."""
    if exponent <= 0:  # a flat distribution: every k has the same surprise
        return size
    if math.isinf(exponent) or size < 2:
        return 1
    excess = exponent - 1
    # excess / (1 - size ** -excess), which tends to 1 / log(size); in logarithms, because the power overflows.
    ratio = excess / -math.expm1(-excess * math.log(size)) if abs(excess) > 1e-9 else 1 / math.log(size)
    log_k = (math.log(ratio) + mu * math.log(2)) / exponent
    return max(1, min(size, round(math.exp(min(log_k, math.log(size))))))
