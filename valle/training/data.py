"""The data of a run: the training set's items, and endless batches of them from a cursor on."""

from collections.abc import Iterator
from dataclasses import dataclass

from valle.data.codes_reader import CodesReader
from valle.data.collate import Collator
from valle.data.curriculum import LevelCurriculum, level_weights
from valle.data.draws import DrawOptions
from valle.data.items import Items, load_items
from valle.data.loader import Prefetched, stream
from valle.data.sampler import Cursor, SamplerOptions, plan_epoch, turns
from valle.data.selection.training_set import TrainingSet
from valle.model import Batch, ModelConfig
from valle.phonemes import PhonemeTable
from valle.training.options import TrainOptions
from warehouse.errors import TrainingError

_DEV_EPOCH = 1 << 40
"""An epoch no training reaches: every evaluation of a run sees the same rows."""


@dataclass(frozen=True, slots=True)
class RunData:
    """Items of both splits with what turns them into batches; `dev` is None when the split is empty."""

    train: Items
    dev: Items | None
    reader: CodesReader
    sampler: SamplerOptions
    config: ModelConfig

    def batches(self, cursor: Cursor, *, rank: int, world_size: int, prefetch: int) -> Prefetched:
        """Training batches of one rank from `cursor` on, forever."""
        collator = Collator(self.train, self.reader, self.config)
        own = turns(self.train, self.sampler, start=cursor, rank=rank, world_size=world_size)
        return Prefetched(stream(own, collator), depth=prefetch)

    def dev_batches(self, count: int) -> Iterator[Batch]:
        """The first `count` batches of the dev split, the same ones each time."""
        if self.dev is None:
            return
        collator = Collator(self.dev, self.reader, self.config)
        plan = plan_epoch(self.dev, self.sampler, _DEV_EPOCH)
        for planned in plan.batches[:count]:
            yield collator(planned, plan.draws)


def open_data(training_set: TrainingSet, config: ModelConfig, options: TrainOptions) -> RunData:
    """Read the items of a training set. Raises TrainingError when nothing can be trained on."""
    table = PhonemeTable(training_set.card.phoneme_symbols)
    splits = {name: training_set.split(name) for name in ("train", "dev")}
    if splits["train"].num_rows == 0:
        raise TrainingError(
            f"The training set {training_set.card.id} has no utterance in `train`; widen its condition or split policy."
        )
    shortest, longest = (max(1, round(seconds * config.frame_rate)) for seconds in options.prompt_seconds)
    draws = DrawOptions(
        seed=options.seed,
        curriculum=_curriculum(options, config.num_codebooks),
        prompt_frames=(shortest, longest),
        prompt_dropout=options.prompt_dropout,
        similar_share=options.similar_prompts,
        condition_dropout=options.condition_dropout,
        masked_share=options.masked_share,
        mask_ratio=options.mask_ratio,
        continuation_share=options.continuation_share,
        length_share=options.length_share,
        transcription_share=options.transcription_share,
    )
    return RunData(
        train=load_items(splits["train"], table.encode, config.language_id),
        dev=load_items(splits["dev"], table.encode, config.language_id) if splits["dev"].num_rows else None,
        reader=CodesReader(training_set.lake, cache_bytes=options.cache_megabytes << 20),
        sampler=SamplerOptions(draws=draws, batch_tokens=options.batch_tokens, pace=config.pace),
        config=config,
    )


def _curriculum(options: TrainOptions, num_levels: int) -> LevelCurriculum:
    early = level_weights(options.level_weights or options.level_law, num_levels)
    if options.later_level_law is None:
        return LevelCurriculum.constant(early)
    first, last = options.level_law_changes
    return LevelCurriculum(early, level_weights(options.later_level_law, num_levels), first, last)
