"""Batches of an epoch under a token budget, planned as a pure function of options, epoch and cursor.

Row groups are shuffled, then cut into windows; inside a window the rows of each layout are sorted by exact length, cut
into batches, and the batches shuffled. So a window of row groups is read once and padding stays small. A resumed run
plans the rows that are left: a batch ends where the next row would exceed the budget, so removing finished batches
leaves all others as they were. The batches of all epochs are one sequence; w ranks take w of them at a time, one
each, so ranks share no row and the order does not depend on their number.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice, pairwise

import numpy as np
from numpy.typing import NDArray

from valle.data.cursor import Cursor
from valle.data.epoch_rows import sample_copies, sample_rows
from valle.data.items.items import Items, Numbers
from valle.data.options import RowOptions
from valle.data.random_streams import Stream, uniform
from valle.model.config import ModelConfig
from valle.model.layout import Ints, Layout, PositionStride
from valle.model.placement import row_length
from valle.tasks.base import EpochRows
from valle.tasks.registry import TASKS, TaskRegistry
from warehouse.errors import TrainingError

MAX_ROWS = 4096
"""Maximum number of rows of a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerOptions:
    """`batch_tokens` counts slots of the padded grid; `window_rows` rows are sorted together."""

    rows: RowOptions
    batch_tokens: int
    config: ModelConfig
    tasks: TaskRegistry = TASKS
    window_rows: int = 16_384


@dataclass(frozen=True, slots=True)
class PlannedBatch:
    """Rows of one layout, for all ranks together, and the slots they fill.

    `window` is the first row of their window of `window_rows` rows in reading order, `members` their indices inside it.
    """

    layout: Layout
    rows: EpochRows
    window: int
    window_rows: int
    members: Ints
    num_tokens: int
    num_slots: int


def padding_fraction(batches: Iterable[PlannedBatch]) -> float:
    """Compute the fraction of slots that are padding."""
    sizes = [(batch.num_tokens, batch.num_slots) for batch in batches]
    return 1 - sum(tokens for tokens, _ in sizes) / sum(slots for _, slots in sizes)


@dataclass(frozen=True, slots=True)
class ScheduledBatch:
    """The batch of one rank: its layout and rows, and the cursor after all ranks have trained on theirs."""

    seed: int
    epoch: int
    layout: Layout
    rows: EpochRows
    after: Cursor


def _row_lengths(items: Items, rows: EpochRows, tasks: TaskRegistry, stride: PositionStride) -> Ints:
    """Compute the slots of each row."""
    lengths = np.zeros(len(rows), dtype=np.int64)
    for number, layout in enumerate(tasks.layouts):
        index = np.flatnonzero(rows.layout == number)
        fields = tasks.task_of(layout).lengths(layout, items, rows.take(index))
        lengths[index] = row_length(layout, fields, stride)
    return lengths


def _reading_order(items: Items, item: Numbers, copy: Numbers, seed: int, epoch: int) -> NDArray[np.int64]:
    """Order the rows so that row groups are shuffled and the rows of a group stay together."""
    place, count = _shuffled_groups(items, seed, epoch)
    # A stable sort of small numbers is one pass; only the rows of one group are sorted by random numbers at a time.
    of_row = place[item]
    order = np.argsort(of_row, kind="stable")
    ends = np.cumsum(np.bincount(of_row, minlength=count))
    for start, end in pairwise([0, *ends.tolist()]):
        rows = order[start:end]
        within = uniform(seed, epoch, Stream.ITEM_ORDER, item[rows])
        # Copies of an item have the same number; `copy` in the sort keeps their order fixed.
        order[start:end] = rows[np.lexsort((copy[rows], within))]
    return order


def _shuffled_groups(items: Items, seed: int, epoch: int) -> tuple[Numbers, int]:
    """Return the place of the row group of each item in the shuffled order of groups, and how many groups there are."""
    group = items.file * (np.int64(items.row_group.max()) + 1) + items.row_group
    known = np.flatnonzero(np.bincount(group))
    shuffled = np.lexsort((known, uniform(seed, epoch, Stream.GROUP_ORDER, known)))
    place = np.zeros(int(known[-1]) + 1, dtype=np.int32)
    place[known[shuffled]] = np.arange(len(known), dtype=np.int32)
    return place[group], len(known)


def _cut(lengths: Ints, budget: int) -> Iterator[tuple[int, int]]:
    """Cut rising lengths into spans whose count times longest is within the budget; a longer row is alone."""
    start = 0
    while start < len(lengths):
        span = lengths[start : start + MAX_ROWS]
        cost = np.arange(1, len(span) + 1) * span  # rises, since the lengths do
        end = start + max(1, int(np.searchsorted(cost, budget, side="right")))
        yield start, end
        start = end


def plan_epoch(
    items: Items, options: SamplerOptions, epoch: int, cursor: Cursor | None = None
) -> Iterator[PlannedBatch]:
    """Yield the batches of the rows of an epoch that are left after `cursor`.

    Rows are sampled window by window, so an epoch of millions begins at once and is never whole in memory. Raises
    TrainingError when all weights are 0.
    """
    cursor = cursor or Cursor(epoch)
    item, copy = sample_copies(items, options.rows.seed, epoch)
    if len(item) == 0 and not (items.weights > 0).any():
        raise TrainingError("Every item of the training set has weight 0; change the weight of the selection.")
    order = _reading_order(items, item, copy, options.rows.seed, epoch) if len(item) else np.zeros(0, np.int64)
    for window in range(cursor.rows, len(order), options.window_rows):
        index = order[window : window + options.window_rows]
        is_done = cursor.is_done(len(index)) if window == cursor.rows else np.zeros(len(index), dtype=bool)
        rows = sample_rows(items, item[index], copy[index], options.rows, options.config, epoch, options.tasks)
        yield from _plan_window(items, rows, is_done, window=window, epoch=epoch, options=options)


def _plan_window(
    items: Items, rows: EpochRows, is_done: NDArray[np.bool_], *, window: int, epoch: int, options: SamplerOptions
) -> list[PlannedBatch]:
    """Cut the rows of a window that are left into batches of one layout each, and shuffle the batches."""
    lengths = _row_lengths(items, rows, options.tasks, options.config.position_stride)
    planned = []
    for number, layout in enumerate(options.tasks.layouts):
        members = np.flatnonzero((rows.layout == number) & ~is_done)
        members = members[np.argsort(lengths[members], kind="stable")]
        sorted_lengths = lengths[members]
        for start, end in _cut(sorted_lengths, options.batch_tokens):
            chosen, span = members[start:end], sorted_lengths[start:end]
            tokens, slots = int(span.sum()), int(span[-1]) * len(span)
            planned.append(PlannedBatch(layout, rows.take(chosen), window, len(rows), chosen, tokens, slots))
    # Keyed by its first row, the position of a batch does not depend on the batches that are already done.
    first_rows = np.array([window + batch.members[0] for batch in planned], dtype=np.int64)
    keys = uniform(options.rows.seed, epoch, Stream.BATCH_ORDER, first_rows)
    return [planned[position] for position in np.argsort(keys, kind="stable")]


def _iterate_all(items: Items, options: SamplerOptions, start: Cursor) -> Iterator[ScheduledBatch]:
    """Yield every batch from `start` on, epoch after epoch, forever."""
    for epoch in count(start.epoch):
        cursor = start if epoch == start.epoch else Cursor(epoch)
        is_done: NDArray[np.bool_] | None = None
        for batch in plan_epoch(items, options, epoch, cursor):
            # All batches of the window before are out by now, so its rows need no bits any more.
            if batch.window != cursor.rows:
                cursor, is_done = Cursor(epoch, batch.window), None
            if is_done is None:
                is_done = cursor.is_done(batch.window_rows)
            is_done[batch.members] = True
            after = cursor.within(is_done)
            yield ScheduledBatch(options.rows.seed, epoch, batch.layout, batch.rows, after)


def iterate_batches(
    items: Items, options: SamplerOptions, *, start: Cursor, rank: int = 0, world_size: int = 1
) -> Iterator[ScheduledBatch]:
    """Yield the batches of one rank from `start` on, forever."""
    sequence = _iterate_all(items, options, start)
    while True:
        # Every rank plans all batches and keeps its own: planning is cheap, and no rank has to tell another.
        together = list(islice(sequence, world_size))
        batch = together[rank]
        yield ScheduledBatch(batch.seed, batch.epoch, batch.layout, batch.rows, together[-1].after)
