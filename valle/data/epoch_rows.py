"""Sampling of the rows of an epoch: items, tasks, codebooks, prompts and masks, before any batch is formed.

Each number is keyed by (seed, epoch, stream, item, copy), so the rows of an epoch do not depend on ranks, workers or
earlier epochs, and the exact length of every row is known in advance.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from valle.data.items.items import Items, Numbers
from valle.data.random_streams import Stream, uniform
from valle.model.config import ModelConfig
from valle.model.layout import Ints
from valle.tasks.base import EpochRows, RowDraws, merge_rows
from valle.tasks.registry import TaskRegistry

if TYPE_CHECKING:
    from valle.data.options import RowOptions


# Items whose copies are counted at once: random numbers take ten times the memory of what they decide.
_AT_ONCE = 1 << 20


class _StreamNumbers:
    """Numbers in [0, 1) for the rows of an epoch, one stream at a time: [rows] each."""

    def __init__(self, seed: int, epoch: int, item: Ints, copy: Ints) -> None:
        self._seed, self._epoch, self._item, self._copy = seed, epoch, item, copy

    def __call__(self, stream: Stream) -> NDArray[np.float64]:
        numbers = np.empty(len(self._item))
        for copy in np.unique(self._copy):
            chosen = self._copy == copy
            numbers[chosen] = uniform(self._seed, self._epoch, stream, self._item[chosen], int(copy))
        return numbers


def sample_copies(items: Items, seed: int, epoch: int) -> tuple[Numbers, Numbers]:
    """Return the item and the copy number of each row of an epoch, in the order of the items.

    An item of weight 2.3 has two rows, and a third in 30 % of the epochs.
    """
    counts = [_count_copies(items, first, seed, epoch) for first in range(0, len(items), _AT_ONCE)]
    count = np.concatenate(counts) if counts else np.zeros(0, dtype=np.int32)
    item = np.repeat(np.arange(len(items), dtype=np.int32), count)
    starts = np.cumsum(count, dtype=np.int64) - count
    return item, np.arange(len(item), dtype=np.int32) - np.repeat(starts.astype(np.int32), count)


def _count_copies(items: Items, first: int, seed: int, epoch: int) -> Numbers:
    """Return the number of rows of items from `first` on."""
    weights = items.weights[first : first + _AT_ONCE]
    # An integer part of copies for sure and a random one for the rest: the variance is as small as it can be.
    floor = np.floor(weights)
    has_extra = uniform(seed, epoch, Stream.COPIES, np.arange(first, first + len(weights))) < weights - floor
    return floor.astype(np.int32) + has_extra


def _sample_prompt_items(
    items: Items, item: Ints, numbers: _StreamNumbers, similar_prompt_ratio: float
) -> tuple[NDArray[np.bool_], Ints]:
    """Sample another item of the same speaker for each row; returns whether there is one, and which.

    A `similar_prompt_ratio` of the rows draws among the most similar items, where these are known.
    """
    speaker, drawn = items.speaker[item], numbers(Stream.PROMPT_ITEM)
    first = items.speaker_starts[speaker]
    num_others = items.speaker_starts[speaker + 1] - first - 1
    # Items of a speaker are neighbours in `by_speaker`, so an index into that span chooses one without any search.
    index = (drawn * num_others).astype(np.int64)
    index += index >= items.rank[item] - first  # step over the item itself
    exists = num_others > 0
    chosen = items.by_speaker[np.where(exists, first + index, 0)]
    num_similar = (items.similar[item] >= 0).sum(axis=1)
    is_similar = (numbers(Stream.SIMILAR_PROMPT) < similar_prompt_ratio) & (num_similar > 0)
    chosen[is_similar] = items.similar[item[is_similar], (drawn * num_similar).astype(np.int64)[is_similar]]
    return exists, chosen


def sample_rows(
    items: Items,
    item: Numbers,
    copy: Numbers,
    options: RowOptions,
    config: ModelConfig,
    epoch: int,
    tasks: TaskRegistry,
) -> EpochRows:
    """Sample rows of an epoch, of which `item` and `copy` are those of `sample_copies`; other rows make no difference.

    Every row is sampled for text-to-speech first and then handed to its task. A prompt is a span of another item of
    the same speaker, shorter than drawn when that item is short; a speaker with a single item has none.
    """
    item, copy = item.astype(np.int64), copy.astype(np.int64)
    numbers = _StreamNumbers(options.seed, epoch, item, copy)
    codebook = np.zeros_like(item)
    if not config.whole_frames:
        edges = np.cumsum(options.make_codebook_schedule(config.num_codebooks).weights(epoch))[:-1]
        codebook = np.searchsorted(edges, numbers(Stream.CODEBOOK), side="right")
    shortest, longest = (max(1, round(seconds * config.frame_rate)) for seconds in options.prompt_seconds)
    prompt_frames = shortest + (numbers(Stream.PROMPT_LENGTH) * (longest - shortest + 1)).astype(np.int64)

    # One number decides both dropouts, so that their ratios are of all rows and never overlap.
    dropout = numbers(Stream.PROMPT_DROPOUT)
    exists, prompt_item = _sample_prompt_items(items, item, numbers, options.similar_prompt_ratio)
    has_prompt = exists & (dropout >= options.condition_dropout + options.prompt_dropout)
    frames = np.where(has_prompt, np.minimum(prompt_frames, items.num_frames[prompt_item]), 0)
    room = np.where(has_prompt, items.num_frames[prompt_item] - frames, 0)
    rows = EpochRows(
        item=item,
        copy=copy,
        layout=np.zeros_like(item),
        codebook=codebook,
        has_text=dropout >= options.condition_dropout,
        prompt_item=np.where(has_prompt, prompt_item, -1),
        prompt_start=(numbers(Stream.PROMPT_START) * (room + 1)).astype(np.int64),
        prompt_frames=frames,
        target_start=np.zeros_like(item),
        # Without a fixed ratio masks follow the cosine of MaskGIT (arXiv 2202.04200).
        mask_ratio=np.full(len(item), options.mask_ratio)
        if options.mask_ratio
        else np.cos(np.pi / 2 * numbers(Stream.MASK_RATIO)),
        span_start=np.zeros_like(item),
        span_frames=np.zeros_like(item),
    )
    task_number = _draw_tasks(rows, numbers(Stream.TASK), items, options, tasks)
    draws = RowDraws(numbers(Stream.MODE), prompt_frames, numbers(Stream.SPAN_FIRST), numbers(Stream.SPAN_LENGTH))
    return _assign_tasks(rows, draws, task_number, items, options, tasks)


def _draw_tasks(
    rows: EpochRows, drawn: NDArray[np.float64], items: Items, options: RowOptions, tasks: TaskRegistry
) -> Ints:
    """Draw the number of the task of each row among the tasks that accept it; the last one takes the rest.

    A task that accepts a part of the rows takes more of these, so that its ratio is that of all rows where it can be.
    """
    last = len(tasks.tasks) - 1
    wanted: list[tuple[int, NDArray[np.float64]]] = []
    for number, (task, ratio) in enumerate(zip(tasks.tasks[:last], tasks.ratios(options), strict=True)):
        accepted = task.accepts(items, rows) if ratio else np.zeros(0, dtype=bool)
        if accepted.any():
            share = min(1.0, ratio / float(accepted.mean()))
            wanted.append((number, np.where(accepted, share, 0.0)))
    # Rows that several tasks want are divided in proportion.
    whole = np.maximum(1.0, sum((ratios for _, ratios in wanted), np.zeros(len(rows))))
    chosen, edge = np.full(len(rows), last), np.zeros(len(rows))
    for number, ratios in wanted:
        below, edge = edge, edge + ratios / whole
        chosen[(drawn >= below) & (drawn < edge)] = number
    return chosen


def _assign_tasks(
    rows: EpochRows, draws: RowDraws, task_number: Ints, items: Items, options: RowOptions, tasks: TaskRegistry
) -> EpochRows:
    """Let each task specialize its rows."""
    first_layout = 0
    pieces: list[tuple[Ints, EpochRows]] = []
    for number, task in enumerate(tasks.tasks):
        index = np.flatnonzero(task_number == number)
        specialized, layout = task.specialize(rows.take(index), draws.take(index), items, options)
        pieces.append((index, dataclasses.replace(specialized, layout=first_layout + layout)))
        first_layout += len(task.layouts)
    return merge_rows(pieces)


def sample_mask(rows: EpochRows, index: int, length: int, *, seed: int, epoch: int) -> NDArray[np.bool_]:
    """Sample which of `length` elements of a row are hidden; at least one, and none outside the span of a row."""
    # 24 bits hold the frames of any utterance, so no two elements of an epoch share a key.
    keys = (rows.item[index] << 24) + np.arange(length)
    numbers = uniform(seed, epoch, Stream.MASK, keys, int(rows.copy[index]))
    if rows.span_frames[index]:
        numbers[~span_mask(rows, index, length)] = 1.0
    hidden = numbers < rows.mask_ratio[index]
    # A row without a hidden element would have no label and no loss.
    hidden[int(numbers.argmin())] = True
    return hidden


def span_mask(rows: EpochRows, index: int, length: int) -> NDArray[np.bool_]:
    """Mark the frames of the span that a row fills: [length]."""
    frames = np.arange(length) - rows.span_start[index]
    return (frames >= 0) & (frames < rows.span_frames[index])
