"""Batches of an epoch under a token budget, planned as a pure function of (options, epoch).

Row groups are shuffled, then cut into windows; inside a window the rows of each layout are sorted by exact length, cut
into batches, and the batches shuffled. So a window of row groups is read once, padding stays small, and to resume is
to plan the epoch again and start at a batch index. The batches of all epochs are one sequence; w ranks take w of them
at a time, one each, so ranks share no row, none is lost, and the order does not depend on how many ranks there are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, islice

import numpy as np
from numpy.typing import NDArray

from valle.data.draws import TRAINED, DrawOptions, Draws, draw_rows, lengths_of
from valle.data.items import Items
from valle.data.keyed import Purpose, uniform
from valle.model.layout import Layout
from valle.model.placement import Pace, row_length
from warehouse.errors import TrainingError

MOST_ROWS = 4096
"""Rows of a batch at most, whatever its budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerOptions:
    """`batch_tokens` counts slots of the padded grid; `window_rows` is how many rows are sorted together."""

    draws: DrawOptions
    batch_tokens: int
    pace: Pace = field(default_factory=Pace)
    window_rows: int = 16_384


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a run stands in the data: the next batch, of whichever rank, is number `batch` of `epoch`."""

    epoch: int = 0
    batch: int = 0


@dataclass(frozen=True, slots=True)
class PlannedBatch:
    """Rows of one layout, as indices into the draws of the epoch, and the slots they take."""

    epoch: int
    layout: Layout
    rows: NDArray[np.int64]
    num_tokens: int
    num_slots: int


@dataclass(frozen=True, slots=True)
class EpochPlan:
    """All draws and batches of an epoch, for every rank."""

    epoch: int
    draws: Draws
    batches: tuple[PlannedBatch, ...]

    @property
    def padding_fraction(self) -> float:
        """Share of the slots that are padding."""
        slots = sum(batch.num_slots for batch in self.batches)
        return 1 - sum(batch.num_tokens for batch in self.batches) / slots


def _lengths(items: Items, draws: Draws, pace: Pace) -> NDArray[np.int64]:
    """Slots of each row."""
    by_layout = [row_length(layout, lengths_of(items, draws, layout), pace) for layout in TRAINED]
    return np.stack(by_layout)[draws.layout, np.arange(len(draws))]


def _reading_order(items: Items, draws: Draws, options: SamplerOptions, epoch: int) -> NDArray[np.int64]:
    """Rows with their row groups shuffled and kept together."""
    group = items.part[draws.item] * (int(items.row_group.max()) + 1) + items.row_group[draws.item]
    shuffled = uniform(options.draws.seed, epoch, Purpose.GROUP_ORDER, group)
    within = uniform(options.draws.seed, epoch, Purpose.ITEM_ORDER, draws.item)
    return np.lexsort((draws.copy, within, group, shuffled))


def _cut(rows: NDArray[np.int64], lengths: NDArray[np.int64], budget: int) -> Iterator[NDArray[np.int64]]:
    """Cut rows, sorted by length, so that count times longest stays within the budget; a longer row goes alone."""
    start = 0
    while start < len(rows):
        span = lengths[rows[start : start + MOST_ROWS]]
        cost = np.arange(1, len(span) + 1) * span  # grows, since the lengths do
        taken = max(1, int(np.searchsorted(cost, budget, side="right")))
        yield rows[start : start + taken]
        start += taken


def plan_epoch(items: Items, options: SamplerOptions, epoch: int) -> EpochPlan:
    """Draw the rows of an epoch and cut them into batches. Raises TrainingError when all weights are 0."""
    draws = draw_rows(items, options.draws, epoch)
    if len(draws) == 0:
        if not (items.weights > 0).any():
            raise TrainingError("Every item of the training set has weight 0; change the weight of the selection.")
        return EpochPlan(epoch, draws, ())
    lengths = _lengths(items, draws, options.pace)
    order = _reading_order(items, draws, options, epoch)
    batches: list[PlannedBatch] = []
    for start in range(0, len(order), options.window_rows):
        window = order[start : start + options.window_rows]
        planned = []
        for number, layout in enumerate(TRAINED):
            rows = window[draws.layout[window] == number]
            rows = rows[np.argsort(lengths[rows], kind="stable")]
            for chosen in _cut(rows, lengths, options.batch_tokens):
                span = lengths[chosen]
                planned.append(PlannedBatch(epoch, layout, chosen, int(span.sum()), int(span.max()) * len(span)))
        keys = uniform(options.draws.seed, epoch, Purpose.BATCH_ORDER, np.arange(len(planned)) + len(batches))
        batches.extend(planned[index] for index in np.argsort(keys, kind="stable"))
    return EpochPlan(epoch, draws, tuple(batches))


@dataclass(frozen=True, slots=True)
class Turn:
    """One planned batch of one rank, with the draws its rows point into and the cursor after all ranks took theirs."""

    batch: PlannedBatch
    draws: Draws
    after: Cursor


def _sequence(items: Items, options: SamplerOptions, start: Cursor) -> Iterator[Turn]:
    """Every batch from `start` on, epoch after epoch, forever."""
    first = start.batch
    for epoch in count(start.epoch):
        plan = plan_epoch(items, options, epoch)
        for index in range(first, len(plan.batches)):
            yield Turn(plan.batches[index], plan.draws, Cursor(epoch, index + 1))
        first = 0


def turns(
    items: Items, options: SamplerOptions, *, start: Cursor, rank: int = 0, world_size: int = 1
) -> Iterator[Turn]:
    """The batches of one rank from `start` on, forever."""
    sequence = _sequence(items, options, start)
    while True:
        together = list(islice(sequence, world_size))
        yield Turn(together[rank].batch, together[rank].draws, together[-1].after)
