"""From a planned batch to the tensors of the network: fetch the codes and lay the rows out. Nothing random is left."""

import numpy as np

from valle.codec.base import Codes
from valle.data.codes_reader import CodesReader
from valle.data.draws import Draws
from valle.data.items import Items
from valle.data.sampler import PlannedBatch
from valle.model.batch import Batch, Row, make_batch
from valle.model.config import ModelConfig
from warehouse.errors import TrainingError


class Collator:
    """Turns planned batches into batches. The AR reads codebook 0 alone; a NAR batch reads every codebook once."""

    def __init__(self, items: Items, reader: CodesReader, config: ModelConfig) -> None:
        self._items = items
        self._reader = reader
        self._config = config

    def __call__(self, planned: PlannedBatch, draws: Draws) -> Batch:
        """The batch of `planned`, whose rows are indices into `draws`.

        Raises TrainingError when codes are not what the item or the codec says.
        """
        rows = [self._row(draws, int(index)) for index in planned.rows]
        return make_batch(planned.mode, rows, stop=self._config.stop, text_stride=self._config.text_stride)

    def _row(self, draws: Draws, index: int) -> Row:
        level, item, prompt = int(draws.level[index]), int(draws.item[index]), int(draws.prompt_item[index])
        num_codebooks = 1 if level == 0 else self._config.num_codebooks
        target = self._codes(item, num_codebooks)[: level + 1]
        prompt_codes = None
        if prompt >= 0:
            start = int(draws.prompt_start[index])
            frames = int(draws.prompt_frames[index])
            prompt_codes = self._codes(prompt, num_codebooks)[: max(level, 1), start : start + frames]
        return Row(
            symbol_ids=self._items.symbols_of(item),
            language_id=int(self._items.language_ids[item]),
            level=level,
            prompt=prompt_codes,
            target=target,
        )

    def _codes(self, item: int, num_codebooks: int) -> Codes:
        items = self._items
        codes = self._reader.read(
            items.parts[int(items.part[item])],
            int(items.row_group[item]),
            int(items.row[item]),
            num_codebooks=num_codebooks,
        )
        if codes.shape[1] != items.num_frames[item]:
            raise TrainingError(
                f"Segment {items.ids[item]} has {codes.shape[1]} frames of codes, not the {items.num_frames[item]} "
                "its training set says; make the set again with `valle select`."
            )
        if int(np.max(codes)) >= self._config.codebook_size or int(np.min(codes)) < 0:
            raise TrainingError(f"Segment {items.ids[item]} has codes outside 0 to {self._config.codebook_size - 1}.")
        return codes
