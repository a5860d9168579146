"""Everything random about an epoch, drawn at once: which items, at which level, with which prompt.

Each number is keyed by (seed, epoch, purpose, item, copy), so the plan of an epoch does not depend on ranks, workers
or on what was planned before, and the exact length of every row is known before a batch is formed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from valle.data.items import Items
from valle.data.keyed import Purpose, uniform
from warehouse.errors import ConfigurationError

LEVEL_LAWS = ("triangular", "uniform", "bell")


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawOptions:
    """How rows are drawn. Prompt lengths are frames; `level_weights` has one entry per level."""

    seed: int
    level_weights: tuple[float, ...]
    prompt_frames: tuple[int, int]
    prompt_dropout: float


@dataclass(frozen=True, slots=True)
class Draws:
    """Rows of an epoch; `prompt_item` is -1 and `prompt_frames` 0 for a row without a prompt. Each array is [rows]."""

    item: NDArray[np.int64]
    copy: NDArray[np.int64]
    level: NDArray[np.int64]
    prompt_item: NDArray[np.int64]
    prompt_start: NDArray[np.int64]
    prompt_frames: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.item)


def level_weights(law: str | Sequence[float], num_levels: int) -> tuple[float, ...]:
    """How often each level is drawn, summing to 1.

    `triangular` weighs level q with num_levels - q, `uniform` with 1, `bell` with 2 ** min(q, num_levels - 1 - q);
    a sequence gives the weights themselves. Raises ConfigurationError for an unknown law or a wrong number of weights.
    """
    if isinstance(law, str):
        if law not in LEVEL_LAWS:
            raise ConfigurationError(f"There is no level law {law!r}; choose one of {', '.join(LEVEL_LAWS)}.")
        laws = {
            "triangular": [num_levels - level for level in range(num_levels)],
            "uniform": [1] * num_levels,
            "bell": [2 ** min(level, num_levels - 1 - level) for level in range(num_levels)],
        }
        raw = [float(weight) for weight in laws[law]]
    else:
        raw = [float(weight) for weight in law]
    if len(raw) != num_levels or min(raw) < 0 or sum(raw) <= 0:
        raise ConfigurationError(
            f"The level weights {raw} must be {num_levels} numbers, none negative, one per codebook of the codec."
        )
    return tuple(weight / sum(raw) for weight in raw)


def _copies(items: Items, options: DrawOptions, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Items of an epoch and the number of each copy: an item of weight 2.3 comes twice, and a third time in 30 %."""
    everything = np.arange(len(items))
    whole = np.floor(items.weights)
    extra = uniform(options.seed, epoch, Purpose.COPIES, everything) < items.weights - whole
    count = whole.astype(np.int64) + extra
    item = np.repeat(everything, count)
    starts = np.repeat(np.cumsum(count) - count, count)
    return item, np.arange(len(item)) - starts


def draw_rows(items: Items, options: DrawOptions, epoch: int) -> Draws:
    """The rows of an epoch, in the order of the items.

    A prompt is a span of another item of the same speaker, the wanted length or less when that item is short; a
    speaker with a single item gets none.
    """
    item, copy = _copies(items, options, epoch)

    def number(purpose: Purpose) -> NDArray[np.float64]:
        drawn = np.empty(len(item))
        for value in np.unique(copy):
            chosen = copy == value
            drawn[chosen] = uniform(options.seed, epoch, purpose, item[chosen], int(value))
        return drawn

    edges = np.cumsum(options.level_weights)[:-1]
    level = np.searchsorted(edges, number(Purpose.LEVEL), side="right")
    speaker = items.speaker[item]
    first = items.speaker_starts[speaker]
    others = items.speaker_starts[speaker + 1] - first - 1
    place = (number(Purpose.PROMPT_ITEM) * others).astype(np.int64)
    place += place >= items.rank[item] - first  # step over the item itself
    has_prompt = (others > 0) & (number(Purpose.PROMPT_DROPOUT) >= options.prompt_dropout)
    prompt = np.where(has_prompt, items.by_speaker[np.where(has_prompt, first + place, 0)], -1)
    shortest, longest = options.prompt_frames
    wanted = shortest + (number(Purpose.PROMPT_LENGTH) * (longest - shortest + 1)).astype(np.int64)
    frames = np.where(has_prompt, np.minimum(wanted, items.num_frames[prompt]), 0)
    room = np.where(has_prompt, items.num_frames[prompt] - frames, 0)
    start = (number(Purpose.PROMPT_START) * (room + 1)).astype(np.int64)
    return Draws(item, copy, level, prompt, start, frames)
