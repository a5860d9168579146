"""How flat the distribution is that a code is drawn from."""

import math

from torch import Tensor


def temper(logits: Tensor, temperature: float) -> Tensor:
    """Logits [..., V] over a temperature above 0, in double precision.

    The largest becomes 0, so that no temperature is too small.
    """
    return (logits - logits.amax(-1, keepdim=True)).double() / temperature


def dynamic_temperature(logits: Tensor, highest: float, lowest: float) -> float:
    """The temperature for logits [V]: near `lowest` when the likeliest is nearly certain, else near `highest`.

    A sigmoid of slope 10 around a probability of 0.5.
    """
    probability = float(logits.softmax(-1).max())
    return highest - (highest - lowest) / (1 + math.exp(-10 * (probability - 0.5)))
