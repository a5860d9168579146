"""The data of a run: the items of its training set, and endless batches of them from a cursor on."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

from valle.data.codes_reader import CodesReader, SpilledGroups
from valle.data.collate import Collator
from valle.data.cursor import Cursor
from valle.data.items.items import Items
from valle.data.items.load import read_items
from valle.data.loader import collate_batches
from valle.data.sampler import SamplerOptions, iterate_batches
from valle.data.selection.training_set import TrainingSet
from valle.model.batch import Batch
from valle.model.config import ModelConfig
from valle.phonemes import PhonemeTable
from valle.phonemes.pieces import AnyTable, PieceTable
from valle.prefetch import Prefetcher
from valle.tasks.registry import TASKS
from valle.training.options import TrainOptions
from warehouse.errors import TrainingError

# Items of a split from which on its long columns are in mapped files beside the set; fewer have some 40 MB.
_MAPPED_ITEMS = 200_000
# An epoch that no training reaches: every evaluation of a run has the same rows.
_DEV_EPOCH = 1 << 40


@dataclass(frozen=True, slots=True)
class RunData:
    """Items of both splits, and the options that turn them into batches; `dev` is None when the split is empty."""

    train: Items
    dev: Items | None
    reader: CodesReader
    sampler: SamplerOptions

    def batches(self, cursor: Cursor, *, rank: int, world_size: int, prefetch: int) -> Prefetcher[tuple[Batch, Cursor]]:
        """Prefetch the training batches of one rank from `cursor` on, forever."""
        scheduled = iterate_batches(self.train, self.sampler, start=cursor, rank=rank, world_size=world_size)
        return Prefetcher(collate_batches(scheduled, self._collator(self.train)), depth=prefetch)

    def dev_batches(self, count: int) -> Iterator[Batch]:
        """Yield the first `count` batches of the dev split, the same ones each time, and fewer of a small split."""
        if self.dev is None:
            return
        collator = self._collator(self.dev)
        for batch in islice(iterate_batches(self.dev, self.sampler, start=Cursor(_DEV_EPOCH)), count):
            if batch.epoch > _DEV_EPOCH:  # a small split would otherwise be evaluated several times
                return
            yield collator(batch)

    def _collator(self, items: Items) -> Collator:
        schedule = self.sampler.rows.make_codebook_schedule(self.sampler.config.num_codebooks)
        return Collator(items, self.reader, self.sampler.config, schedule=schedule)


def _open_reader(training_set: TrainingSet, options: TrainOptions) -> CodesReader:
    spilled = SpilledGroups(training_set.directory / "decoded", int(options.disk_cache_gigabytes * 1e9))
    return CodesReader(training_set.lake, cache_bytes=options.cache_megabytes << 20, spilled=spilled)


def open_data(
    training_set: TrainingSet, config: ModelConfig, options: TrainOptions, table: AnyTable | None = None
) -> RunData:
    """Read the items of a training set, encoded by its own phoneme table unless another is given.

    Raises TrainingError when there is nothing to train on.
    """
    read = partial(_read_items, training_set, table or PhonemeTable(training_set.card.phoneme_symbols), config)
    counts = training_set.card.utterances
    if not counts["train"]:
        raise TrainingError(
            f"The training set {training_set.card.id} has no utterance in `train`; widen its condition or split policy."
        )
    options.make_codebook_schedule(config.num_codebooks)  # refuses wrong weights before any work
    train = read("train")
    for task in TASKS.tasks:
        if task.ratio(options) > 0 and (lack := task.missing(train)) is not None:
            raise TrainingError(f"{training_set.card.id} cannot train {task.name}: {lack}.")
    return RunData(
        train=train,
        dev=read("dev") if counts["dev"] else None,
        reader=_open_reader(training_set, options),
        sampler=SamplerOptions(rows=options, batch_tokens=options.batch_tokens, config=config),
    )


def _read_items(training_set: TrainingSet, table: AnyTable, config: ModelConfig, split: str) -> Items:
    folder = training_set.directory / "decoded"
    # A set that others share may be read-only; its columns are in memory then.
    is_mapped = training_set.card.utterances[split] >= _MAPPED_ITEMS and os.access(training_set.directory, os.W_OK)
    return read_items(
        lambda columns: training_set.tables(split, columns=columns),
        table.encode,
        config.language_id,
        joins_symbols=isinstance(table, PieceTable),
        folder=folder if is_mapped else None,
    )
