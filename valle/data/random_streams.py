"""A counter-based random number generator: numbers are a pure function of their key, so any epoch can be planned again.

SplitMix64 (Steele, Lea and Flood, 2014) is applied to each part of the key in turn; one vector call draws a whole
epoch.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class Stream(IntEnum):
    """Id of an independent stream of random numbers; each use has its own."""

    COPIES = 1
    CODEBOOK = 2
    PROMPT_ITEM = 3
    PROMPT_LENGTH = 4
    PROMPT_START = 5
    PROMPT_DROPOUT = 6
    GROUP_ORDER = 7
    ITEM_ORDER = 8
    BATCH_ORDER = 9
    TASK = 10
    MODE = 11
    MASK = 12
    MASK_RATIO = 13
    SIMILAR_PROMPT = 14
    SPAN_FIRST = 15
    SPAN_LENGTH = 16


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = state + _GOLDEN
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def uniform(seed: int, epoch: int, stream: Stream, items: NDArray[np.int64], copy: int = 0) -> NDArray[np.float64]:
    """Draw one number in [0, 1) per item, the same for the same five arguments on every machine: [n]."""
    state = np.zeros(1, dtype=np.uint64)
    for key in (seed, epoch, int(stream), copy):
        state = _mix(state ^ np.uint64(key))
    state = _mix(state ^ items.astype(np.uint64))
    # The upper 53 bits fill the mantissa of a double exactly.
    return (state >> np.uint64(11)).astype(np.float64) / float(1 << 53)
