"""Frames between the words of an utterance, at which spans are cut for editing."""

import numpy as np
from numpy.typing import NDArray

from valle.model.layout import Ints


def word_borders(times: NDArray[np.float64], num_frames: int) -> Ints:
    """Return the borders of n words as frames [n + 1], given their starts and ends in frames, [n, 2].

    The first border is 0, the last is the end of the utterance, and between two words it is the middle of their pause:
    a span of words then has half of the pause on each side, and neighbouring spans leave no gap.
    """
    middles = (times[:-1, 1] + times[1:, 0]) / 2
    borders = np.concatenate([[0.0], middles, [num_frames]])
    # Confidence in times is limited: borders that are out of order would give spans of negative length.
    return np.maximum.accumulate(np.clip(np.round(borders), 0, num_frames)).astype(np.int64)


def choose_span(
    borders: Ints, starts: Ints, item: Ints, first: NDArray[np.float64], length: NDArray[np.float64]
) -> tuple[Ints, Ints]:
    """Choose a span of 1 to n/2 words of n in each item: its first frame and its frames, [rows] each.

    `starts` are those of each item in `borders`, `first` and `length` numbers in [0, 1).
    """
    num_words = starts[item + 1] - starts[item] - 1
    count = 1 + (length * np.maximum(1, num_words // 2)).astype(np.int64)
    begin = (first * (num_words - count + 1)).astype(np.int64)
    start = borders[starts[item] + begin]
    return start, borders[starts[item] + begin + count] - start
