"""From a planned batch to the tensors of the network: fetch the codes and lay the rows out. Nothing random is left."""

import numpy as np

from valle.codec.base import Codes
from valle.data.codes_reader import CodesReader
from valle.data.draws import Draws
from valle.data.items import Items
from valle.data.sampler import PlannedBatch
from valle.model import Batch, Layout, Mode, ModelConfig, Row, Task, make_batch
from valle.model.batch import Elements
from valle.model.config import LENGTH_DIGITS
from valle.model.layout import TASK_MARKER, Marker
from valle.model.placement import Ints
from warehouse.errors import TrainingError


class Collator:
    """Turns planned batches into batches. A target of level 0 reads codebook 0 alone, all else every codebook once."""

    def __init__(self, items: Items, reader: CodesReader, config: ModelConfig) -> None:
        self._items = items
        self._reader = reader
        self._config = config

    def __call__(self, planned: PlannedBatch, draws: Draws) -> Batch:
        """The batch of `planned`, whose rows are indices into `draws`.

        Raises TrainingError when codes are not what the item or the codec says.
        """
        layout = planned.layout
        rows = [self._row(layout, draws, int(index)) for index in planned.rows]
        return make_batch(layout.task, layout.mode, rows, self._config)

    def _row(self, layout: Layout, draws: Draws, index: int) -> Row:
        level, item = int(draws.level[index]), int(draws.item[index])
        parts: dict[str, Elements] = {"language": self._items.language_ids[item : item + 1]}
        symbols = self._items.symbols_of(item)
        if layout.task is Task.STT:
            parts |= {"heard": self._codes(item), "text": symbols[1:-1]}
        elif draws.has_text[index]:
            parts["text"] = symbols
        if draws.prompt_frames[index]:
            start = int(draws.prompt_start[index])
            prompt = self._codes(int(draws.prompt_item[index]))
            parts["prompt"] = prompt[:, start : start + int(draws.prompt_frames[index])]
        if layout.task is Task.TTS_C:
            parts[TASK_MARKER] = np.array([Marker.TTS_C.id])
        if layout.task is Task.LEN:
            parts["digits"] = length_digits(int(self._items.num_frames[item]), layout.mode)
        elif layout.task is not Task.STT:
            parts["target"] = self._codes(item, level + 1)[: level + 1, int(draws.target_start[index]) :]
        masked = draws.masked(index, parts[layout.output.name].shape[-1]) if layout.mode is Mode.NAR_LEN else None
        return Row(level, parts, masked)

    def _codes(self, item: int, needed: int | None = None) -> Codes:
        """At least as many codebooks of an item as are needed."""
        items = self._items
        codes = self._reader.read(
            items.parts[int(items.part[item])],
            int(items.row_group[item]),
            int(items.row[item]),
            num_codebooks=1 if needed == 1 else self._config.num_codebooks,
        )
        if codes.shape[1] != items.num_frames[item]:
            raise TrainingError(
                f"Segment {items.ids[item]} has {codes.shape[1]} frames of codes, not the {items.num_frames[item]} "
                "its training set says; make the set again with `valle select`."
            )
        if int(np.max(codes)) >= self._config.codebook_size or int(np.min(codes)) < 0:
            raise TrainingError(f"Segment {items.ids[item]} has codes outside 0 to {self._config.codebook_size - 1}.")
        return codes


def length_digits(num_frames: int, mode: Mode) -> Ints:
    """Decimal digits of a length, with zeros before it where all are predicted at once."""
    digits = f"{num_frames:0{LENGTH_DIGITS}d}" if mode is Mode.NAR_LEN else str(num_frames)
    return np.array([int(digit) for digit in digits], dtype=np.int64)
