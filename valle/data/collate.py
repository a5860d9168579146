"""Collation: read the codes of scheduled rows and lay the rows out as tensors. Nothing random is left here."""

import dataclasses

import numpy as np
import torch

from valle.codec.base import Codes
from valle.data.codebook_schedule import CodebookSchedule
from valle.data.codes_reader import CodesReader
from valle.data.epoch_rows import sample_mask, span_mask
from valle.data.items.items import Items
from valle.data.sampler import ScheduledBatch
from valle.model.batch import Batch, make_batch
from valle.model.config import ModelConfig
from valle.model.layout import Mode
from valle.model.row import Row
from valle.tasks.base import Sound
from valle.tasks.registry import TASKS, TaskRegistry
from warehouse.errors import TrainingError


class Collator:
    """Turns scheduled batches into tensors. An AR target reads codebook 0 alone, all other codes are read once.

    In whole frames `schedule` weighs the losses of codebooks, whose mean weight is 1; elsewhere it has drawn the rows.
    """

    def __init__(
        self,
        items: Items,
        reader: CodesReader,
        config: ModelConfig,
        tasks: TaskRegistry = TASKS,
        *,
        schedule: CodebookSchedule | None = None,
    ) -> None:
        self._items = items
        self._reader = reader
        self._config = config
        self._tasks = tasks
        self._schedule = schedule if config.whole_frames else None

    def __call__(self, batch: ScheduledBatch) -> Batch:
        """Collate a batch. Raises TrainingError when codes contradict the training set or the codec."""
        made = make_batch(batch.layout, self.rows(batch), self._config)
        if self._schedule is None or self._config.predictions_of(batch.layout) == 1:
            return made
        factors = np.array(self._schedule.weights(batch.epoch)) * self._config.num_codebooks
        return dataclasses.replace(made, factors=torch.from_numpy(factors.astype(np.float32)))

    def rows(self, batch: ScheduledBatch) -> list[Row]:
        """Read the rows of a batch; raises what collating it raises."""
        return [self._row(batch, index) for index in range(len(batch.rows))]

    def _row(self, batch: ScheduledBatch, index: int) -> Row:
        layout = batch.layout
        task = self._tasks.task_of(layout)
        fields = task.fields(layout, self._items, batch.rows, index, self._read_codes)
        masked = labelled = None
        if layout.mode is Mode.NAR_LEN:
            length = fields[layout.output.name].shape[-1]
            masked = sample_mask(batch.rows, index, length, seed=batch.seed, epoch=batch.epoch)
        # Frames outside an edited span are given in all codebooks by its context: there is nothing to learn from them.
        if layout.mode is Mode.NAR and batch.rows.span_frames[index]:
            labelled = span_mask(batch.rows, index, fields[layout.output.name].shape[-1])
        return Row(int(batch.rows.codebook[index]), fields, masked, labelled)

    def _span_of(self, item: int) -> tuple[int, int | None]:
        """Return the frames of a part of a segment; of a whole one all are read, and their number is checked."""
        first = int(self._items.first_frame[item])
        return (0, None) if first < 0 else (first, first + int(self._items.num_frames[item]))

    def _read_codes(self, item: int, num_codebooks: int | None, sound: Sound = Sound.SPEECH) -> Codes:
        """Read at least that many codebooks of an item: one, or else all, so that the cache holds two kinds only."""
        items, whole = self._items, self._config.num_codebooks
        count = 1 if num_codebooks == 1 and not self._config.whole_frames else whole
        if sound is Sound.SPEECH:
            file, group, row = items.files[int(items.file[item])], items.row_group[item], items.row[item]
        else:
            places = items.mixtures
            file, group, row = places.files[int(places.file[item])], places.row_group[item], places.row[item]
            # The codebooks of what was added follow those of the mixture.
            count = 2 * whole if sound is Sound.INTERFERENCE else count
        start, stop = self._span_of(item)
        codes = self._reader.read(file, int(group), int(row), num_codebooks=count, start=start, stop=stop)
        codes = codes[whole:] if sound is Sound.INTERFERENCE else codes
        if codes.shape[1] != items.num_frames[item]:
            raise TrainingError(
                f"Segment {items.ids[item]} has {codes.shape[1]} frames of {sound}, but its training set lists "
                f"{items.num_frames[item]}; make the set again with `valle select`."
            )
        # An index outside a table of embeddings ends a GPU process without naming the row. Read as unsigned, a negative
        # code is a large one, and one pass finds both.
        if int(codes.view(np.uint16).max()) >= self._config.codebook_size:
            raise TrainingError(f"Segment {items.ids[item]} has codes outside 0 to {self._config.codebook_size - 1}.")
        return codes
