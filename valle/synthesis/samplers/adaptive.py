"""Adapt sampling to the uncertainty of the model, after Entropix (github.com/xjdr-alt/entropix).

Entropy measures how many codes are possible, varentropy (the variance of the surprise) whether a few of them are far
likelier than the others. The terms of Entropix that need the entropy of attention are left out, because fused
attention kernels do not return attention weights.
"""

import math
from dataclasses import dataclass, replace

from torch import Tensor

from valle.synthesis.options import AdaptiveOptions


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Entropy in bits and varentropy in bits squared of one frame."""

    entropy: float
    varentropy: float


@dataclass(frozen=True, slots=True)
class DrawParameters:
    """Temperature and filters of one draw; of several candidates the likeliest is chosen."""

    temperature: float
    top_k: int
    top_p: float
    min_p: float
    num_candidates: int = 1


def uncertainty(logits: Tensor) -> Uncertainty:
    """Compute entropy and varentropy of softmax(logits [V])."""
    surprise = -logits.double().log_softmax(-1) / math.log(2)
    probabilities = (-surprise * math.log(2)).exp()
    surprise = surprise.where(probabilities > 0, surprise.new_zeros(()))
    entropy = (probabilities * surprise).sum()
    varentropy = (probabilities * (surprise - entropy) ** 2).sum()
    return Uncertainty(float(entropy), float(varentropy))


def adapt(measured: Uncertainty, parameters: DrawParameters, options: AdaptiveOptions) -> DrawParameters:
    """Return the parameters of a draw at this uncertainty.

    Both low: argmax. Entropy high, varentropy low: hotter. Entropy low, varentropy high: a little hotter. Both high:
    much hotter, with a smaller nucleus. In between: the likeliest of some candidates, hotter with more uncertainty.
    Except for the argmax, the temperature is from 0.5 to 1.25.
    """
    entropy, varentropy = measured.entropy, measured.varentropy
    # Certain: a draw could only be worse than the argmax.
    if entropy < options.low_entropy and varentropy < options.low_varentropy:
        return replace(parameters, temperature=0.0)
    if entropy > options.high_entropy and varentropy < options.low_varentropy:
        return replace(parameters, temperature=_warmer(parameters, 1.3))
    if varentropy > options.high_varentropy:
        if entropy < options.high_entropy:
            return replace(parameters, temperature=_warmer(parameters, 1.2))
        return replace(
            parameters,
            temperature=_warmer(parameters, 2.0),
            top_p=min(parameters.top_p, max(0.5, parameters.top_p - 0.2)),
        )
    uncertainty_sum = entropy + varentropy
    return replace(
        parameters,
        temperature=_warmer(parameters, 1 + 0.3 * uncertainty_sum),
        min_p=min(0.5, max(0.01, parameters.min_p * (1 - 0.5 * uncertainty_sum))),
        num_candidates=options.candidates,
    )


def _warmer(parameters: DrawParameters, factor: float) -> float:
    return min(1.25, max(0.5, parameters.temperature * factor))
