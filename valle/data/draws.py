"""Everything random about an epoch, drawn at once: which items, for which task, at which level, with which prompt.

Each number is keyed by (seed, epoch, purpose, item, copy), so the plan of an epoch does not depend on ranks, workers
or on what was planned before, and the exact length of every row is known before a batch is formed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from valle.data.curriculum import LevelCurriculum
from valle.data.items import Items
from valle.data.keyed import Purpose, uniform
from valle.model.config import LENGTH_DIGITS
from valle.model.layout import LAYOUTS, TASK_MARKER, Layout, Mode, Task
from valle.model.placement import Ints

TRAINED: tuple[Layout, ...] = tuple(
    layout for layout in LAYOUTS.values() if layout.task in (Task.TTS, Task.TTS_C, Task.LEN, Task.STT)
)
"""The layouts that can be drawn; a number of a layout is its place here."""
_NUMBERS = {(layout.task, layout.mode): number for number, layout in enumerate(TRAINED)}


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawOptions:
    """How rows are drawn. Prompt lengths are frames; shares are of all rows, `masked_share` of those of level 0,
    `similar_share` of the prompts of items of which similar ones are known.

    `mask_ratio` is the share of frames that a NAR-len row hides; 0 draws it anew for each row, as cos(pi / 2 u).
    """

    seed: int
    curriculum: LevelCurriculum
    prompt_frames: tuple[int, int]
    prompt_dropout: float = 0.0
    similar_share: float = 0.0
    condition_dropout: float = 0.0
    masked_share: float = 0.0
    mask_ratio: float = 0.8
    continuation_share: float = 0.0
    length_share: float = 0.0
    transcription_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Draws:
    """Rows of an epoch, each array [rows].

    `prompt_item` is -1 and `prompt_frames` 0 for a row without a prompt. A continuation begins at frame `target_start`
    of its item, where its prompt ends. `mask_ratio` is that of a NAR-len row.
    """

    seed: int
    epoch: int
    item: NDArray[np.int64]
    copy: NDArray[np.int64]
    layout: NDArray[np.int64]  # number in TRAINED
    level: NDArray[np.int64]
    has_text: NDArray[np.bool_]
    prompt_item: NDArray[np.int64]
    prompt_start: NDArray[np.int64]
    prompt_frames: NDArray[np.int64]
    target_start: NDArray[np.int64]
    mask_ratio: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.item)

    def masked(self, row: int, length: int) -> NDArray[np.bool_]:
        """Which of `length` elements of a row are hidden; at least one."""
        keys = (self.item[row] << 24) + np.arange(length)
        drawn = uniform(self.seed, self.epoch, Purpose.MASK, keys, int(self.copy[row]))
        hidden = drawn < self.mask_ratio[row]
        hidden[int(drawn.argmin())] = True
        return hidden


class _Numbers:
    """Numbers in [0, 1) for the rows of an epoch, one stream per purpose: [rows] each."""

    def __init__(self, seed: int, epoch: int, item: NDArray[np.int64], copy: NDArray[np.int64]) -> None:
        self._seed, self._epoch, self._item, self._copy = seed, epoch, item, copy

    def __call__(self, purpose: Purpose) -> NDArray[np.float64]:
        drawn = np.empty(len(self._item))
        for value in np.unique(self._copy):
            chosen = self._copy == value
            drawn[chosen] = uniform(self._seed, self._epoch, purpose, self._item[chosen], int(value))
        return drawn


def _copies(items: Items, options: DrawOptions, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Items of an epoch and the number of each copy: an item of weight 2.3 comes twice, and a third time in 30 %."""
    everything = np.arange(len(items))
    whole = np.floor(items.weights)
    extra = uniform(options.seed, epoch, Purpose.COPIES, everything) < items.weights - whole
    count = whole.astype(np.int64) + extra
    item = np.repeat(everything, count)
    starts = np.repeat(np.cumsum(count) - count, count)
    return item, np.arange(len(item)) - starts


def _layouts(
    options: DrawOptions, numbers: _Numbers, level: NDArray[np.int64], num_frames: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The number of the layout of each row."""
    shares = np.cumsum([options.length_share, options.transcription_share, options.continuation_share])
    drawn = np.searchsorted(shares, numbers(Purpose.TASK), side="right")
    tasks = np.array([Task.LEN, Task.STT, Task.TTS_C, Task.TTS], dtype=object)[drawn]
    tasks[(tasks == Task.TTS_C) & (num_frames < 2)] = Task.TTS  # nothing to go on from
    mode = numbers(Purpose.MODE)
    speech = np.where(level > 0, Mode.NAR, np.where(mode < options.masked_share, Mode.NAR_LEN, Mode.AR))
    length = np.where(mode < 0.5, Mode.TOKENS, Mode.NAR_LEN)
    modes = np.where(tasks == Task.STT, Mode.TOKENS, np.where(tasks == Task.LEN, length, speech))
    return np.array([_NUMBERS[task, mode] for task, mode in zip(tasks, modes, strict=True)], dtype=np.int64)


def _tasks(layouts: NDArray[np.int64]) -> NDArray[np.object_]:
    return np.array([layout.task for layout in TRAINED], dtype=object)[layouts]


def _other_items(
    items: Items, item: NDArray[np.int64], numbers: _Numbers, similar_share: float
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Another item of the same speaker for each row, a similar one in a share of them, and whether there is one."""
    speaker, drawn = items.speaker[item], numbers(Purpose.PROMPT_ITEM)
    first = items.speaker_starts[speaker]
    others = items.speaker_starts[speaker + 1] - first - 1
    place = (drawn * others).astype(np.int64)
    place += place >= items.rank[item] - first  # step over the item itself
    exists = others > 0
    chosen = items.by_speaker[np.where(exists, first + place, 0)]
    known = (items.similar[item] >= 0).sum(axis=1)
    is_similar = (numbers(Purpose.SIMILAR_PROMPT) < similar_share) & (known > 0)
    chosen[is_similar] = items.similar[item[is_similar], (drawn * known).astype(np.int64)[is_similar]]
    return exists, chosen


def draw_rows(items: Items, options: DrawOptions, epoch: int) -> Draws:
    """The rows of an epoch, in the order of the items.

    A prompt is a span of another item of the same speaker, the wanted length or less when that item is short; a
    `similar_share` of them are of an item that sounds most alike, and a speaker with a single item gets none. The
    prompt of a continuation is the beginning of its own item, at most half.
    """
    item, copy = _copies(items, options, epoch)
    numbers = _Numbers(options.seed, epoch, item, copy)
    num_frames = items.num_frames[item]
    edges = np.cumsum(options.curriculum.weights(epoch))[:-1]
    level = np.searchsorted(edges, numbers(Purpose.LEVEL), side="right")
    layout = _layouts(options, numbers, level, num_frames)
    tasks = _tasks(layout)
    level = np.where((tasks == Task.LEN) | (tasks == Task.STT), 0, level)

    shortest, longest = options.prompt_frames
    wanted = shortest + (numbers(Purpose.PROMPT_LENGTH) * (longest - shortest + 1)).astype(np.int64)
    dropped = numbers(Purpose.PROMPT_DROPOUT)
    is_bare = dropped < options.condition_dropout
    exists, other = _other_items(items, item, numbers, options.similar_share)
    has_prompt = exists & (dropped >= options.condition_dropout + options.prompt_dropout) & (tasks != Task.STT)
    prompt = np.where(has_prompt, other, -1)
    frames = np.where(has_prompt, np.minimum(wanted, items.num_frames[prompt]), 0)
    room = np.where(has_prompt, items.num_frames[prompt] - frames, 0)
    start = (numbers(Purpose.PROMPT_START) * (room + 1)).astype(np.int64)

    continues = tasks == Task.TTS_C
    own = np.minimum(wanted, num_frames // 2)
    ratio = options.mask_ratio or np.cos(np.pi / 2 * numbers(Purpose.MASK_RATIO))
    return Draws(
        seed=options.seed,
        epoch=epoch,
        item=item,
        copy=copy,
        layout=layout,
        level=level,
        # A length is that of a text, and a transcript has no other condition than what is heard.
        has_text=~is_bare | (tasks == Task.LEN) | (tasks == Task.STT),
        prompt_item=np.where(continues, item, prompt),
        prompt_start=np.where(continues, 0, start),
        prompt_frames=np.where(continues, own, frames),
        target_start=np.where(continues, own, 0),
        # Digits of a length are hidden all, since none of them is known before the others.
        mask_ratio=np.where(tasks == Task.LEN, 1.0, ratio),
    )


def lengths_of(items: Items, draws: Draws, layout: Layout) -> dict[str, Ints]:
    """Frames or ids of each segment, by name, if every row were of this layout: [rows] each."""
    ones = np.ones(len(draws), dtype=np.int64)
    num_frames = items.num_frames[draws.item]
    num_symbols = items.num_symbols[draws.item]
    return {
        # As an output the text has no `<bos>`, and `<eos>` is its stop.
        "text": num_symbols - 2 if layout.task is Task.STT else num_symbols * draws.has_text,
        "language": ones,
        "level": ones,
        "prompt": draws.prompt_frames,
        TASK_MARKER: ones,
        "heard": num_frames,
        "digits": LENGTH_DIGITS * ones if layout.mode is Mode.NAR_LEN else _num_digits(num_frames),
        "target": num_frames - draws.target_start,
    }


def _num_digits(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.searchsorted(10 ** np.arange(1, LENGTH_DIGITS), numbers, side="right") + 1
