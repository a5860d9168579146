"""Sampling that adapts to how uncertain the model is, after Entropix (github.com/xjdr-alt/entropix).

Entropy says how many codes are possible, varentropy (the variance of the surprise) whether they fall into a few likely
and many unlikely ones. Entropix also looks at the entropies of the attention; fused attention kernels do not give
these away, so its terms that need them are left out.
"""

import math
from dataclasses import dataclass, replace

from torch import Tensor

from valle.synthesis.options import AdaptiveOptions


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Entropy in bits, and varentropy in bits squared."""

    entropy: float
    varentropy: float


@dataclass(frozen=True, slots=True)
class Knobs:
    """What a code is drawn with. Of several candidates the likeliest is taken."""

    temperature: float
    top_k: int
    top_p: float
    min_p: float
    num_candidates: int = 1


def uncertainty(logits: Tensor) -> Uncertainty:
    """How uncertain softmax(logits [V]) is."""
    surprise = -logits.double().log_softmax(-1) / math.log(2)
    probabilities = (-surprise * math.log(2)).exp()
    surprise = surprise.where(probabilities > 0, surprise.new_zeros(()))
    entropy = (probabilities * surprise).sum()
    varentropy = (probabilities * (surprise - entropy) ** 2).sum()
    return Uncertainty(float(entropy), float(varentropy))


def adapt(found: Uncertainty, knobs: Knobs, options: AdaptiveOptions) -> Knobs:
    """The knobs for a frame of this uncertainty.

    Both low: the likeliest. Entropy high, varentropy low: hotter. Entropy low, varentropy high: a little hotter. Both
    high: much hotter, from a smaller nucleus. In between: the likeliest of some candidates, drawn the hotter the more
    uncertain. Except for the first, the temperature is from 0.5 to 1.25.
    """
    entropy, varentropy = found.entropy, found.varentropy
    if entropy < options.low_entropy and varentropy < options.low_varentropy:
        return replace(knobs, temperature=0.0)
    if entropy > options.high_entropy and varentropy < options.low_varentropy:
        return replace(knobs, temperature=_warm(knobs, 1.3))
    if varentropy > options.high_varentropy:
        if entropy < options.high_entropy:
            return replace(knobs, temperature=_warm(knobs, 1.2))
        return replace(knobs, temperature=_warm(knobs, 2.0), top_p=min(knobs.top_p, max(0.5, knobs.top_p - 0.2)))
    doubt = entropy + varentropy
    return replace(
        knobs,
        temperature=_warm(knobs, 1 + 0.3 * doubt),
        min_p=min(0.5, max(0.01, knobs.min_p * (1 - 0.5 * doubt))),
        num_candidates=options.candidates,
    )


def _warm(knobs: Knobs, factor: float) -> float:
    return min(1.25, max(0.5, knobs.temperature * factor))
