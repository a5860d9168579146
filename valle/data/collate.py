"""Collation: read the codes of scheduled rows and lay the rows out as tensors. Nothing random is left here."""

import numpy as np

from valle.codec.base import Codes
from valle.data.codes_reader import CodesReader
from valle.data.epoch_rows import sample_mask
from valle.data.items import Items
from valle.data.sampler import ScheduledBatch
from valle.model.batch import Batch, make_batch
from valle.model.config import ModelConfig
from valle.model.layout import Mode
from valle.model.row import Row
from valle.tasks.registry import TASKS, TaskRegistry
from warehouse.errors import TrainingError


class Collator:
    """Turns scheduled batches into tensors. An AR target reads codebook 0 alone, all other codes are read once."""

    def __init__(self, items: Items, reader: CodesReader, config: ModelConfig, tasks: TaskRegistry = TASKS) -> None:
        self._items = items
        self._reader = reader
        self._config = config
        self._tasks = tasks

    def __call__(self, batch: ScheduledBatch) -> Batch:
        """Collate a batch. Raises TrainingError when codes contradict the training set or the codec."""
        rows = [self._row(batch, index) for index in range(len(batch.rows))]
        return make_batch(batch.layout, rows, self._config)

    def _row(self, batch: ScheduledBatch, index: int) -> Row:
        layout = batch.layout
        task = self._tasks.task_of(layout)
        fields = task.fields(layout, self._items, batch.rows, index, self._read_codes)
        masked = None
        if layout.mode is Mode.NAR_LEN:
            length = fields[layout.output.name].shape[-1]
            masked = sample_mask(batch.rows, index, length, seed=batch.seed, epoch=batch.epoch)
        return Row(int(batch.rows.codebook[index]), fields, masked)

    def _stop_of(self, item: int) -> int | None:
        """Return the end of a part of a segment; None reads a whole one, whose length is then checked."""
        first = int(self._items.first_frame[item])
        return first + int(self._items.num_frames[item]) if first >= 0 else None

    def _read_codes(self, item: int, num_codebooks: int | None) -> Codes:
        """Read at least that many codebooks of an item: one, or else all, so that the cache holds two kinds only."""
        items = self._items
        codes = self._reader.read(
            items.parts[int(items.part[item])],
            int(items.row_group[item]),
            int(items.row[item]),
            num_codebooks=1 if num_codebooks == 1 else self._config.num_codebooks,
            start=max(0, int(items.first_frame[item])),
            stop=self._stop_of(item),
        )
        if codes.shape[1] != items.num_frames[item]:
            raise TrainingError(
                f"Segment {items.ids[item]} has {codes.shape[1]} frames of codes, but its training set lists "
                f"{items.num_frames[item]}; make the set again with `valle select`."
            )
        # An index outside a table of embeddings ends a GPU process without naming the row.
        if int(np.max(codes)) >= self._config.codebook_size or int(np.min(codes)) < 0:
            raise TrainingError(f"Segment {items.ids[item]} has codes outside 0 to {self._config.codebook_size - 1}.")
        return codes
