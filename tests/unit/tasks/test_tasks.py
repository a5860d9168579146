"""The promises of every task; a new one needs its own module and a line in the registry, nothing else."""

import dataclasses

import numpy as np
import pytest
import torch

from tests.unit.data.fixtures import CONFIG, SEED, make_items, rows_of_epoch, sampler_options
from valle.data.collate import Collator
from valle.data.cursor import Cursor
from valle.data.sampler import ScheduledBatch, iterate_batches
from valle.model.batch import IGNORED, make_batch
from valle.model.layout import CODEBOOK, LANGUAGE, TEXT, Head, Layout, LayoutField, Mode, Table
from valle.model.loss import sequence_loss
from valle.model.placement import row_length
from valle.model.valle import ValleModel
from valle.tasks.editing import EDITING
from valle.tasks.registry import TASKS, TaskRegistry
from valle.tasks.tts import TTS
from valle.training.options import TrainSettings
from valle.training.reports.metrics import Window

RATIOS = (
    *("length_ratio", "transcription_ratio", "continuation_ratio", "editing_ratio", "noisy_editing_ratio"),
    *("suppression_ratio", "removal_ratio", "extraction_ratio", "conversion_ratio", "singing_ratio"),
    *("phonemes_ratio", "spelling_ratio", "raw_text_ratio"),
)
MIX = {"nar_len_ratio": 0.5} | dict.fromkeys(RATIOS, 0.07)


def read_random_codes(items):
    """Stand-in for codes on disk: as many frames as the items have."""
    return lambda item, num_codebooks, sound=None: np.full(
        (num_codebooks or 8, items.num_frames[item]), item % 7, np.int16
    )


class RandomReader:
    """Codes of the length that an item has, found by its row number."""

    def __init__(self, items):
        self._frames = dict(
            zip(zip(items.row_group, items.row, items.file, strict=True), items.num_frames, strict=True)
        )
        self._files = items.files

    def read(self, file, row_group, row, *, num_codebooks, start=0, stop=None):
        frames = self._frames[row_group, row, self._files.index(file)]
        codes = (np.arange(num_codebooks * frames).reshape(num_codebooks, frames) % 32).astype(np.int16)
        return codes[:, start:stop]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("task", TASKS.tasks, ids=lambda task: task.name)
def test_planned_lengths_are_the_lengths_of_the_fields(task, seed):
    rng = np.random.default_rng(seed)
    seconds = rng.choice([0.02, 0.05, 0.4, 1.0, 5.0, 130.0], 240)
    items = make_items(240, seed=seed, word_seconds=0.3, mixed=True, seconds=seconds)
    own = dict(zip([one.name for one in TASKS.tasks], [{ratio: 0.6} for ratio in RATIOS], strict=False))
    rows = rows_of_epoch(items, seed, condition_dropout=0.2, nar_len_ratio=0.5, **own.get(task.name, {}))
    read_codes = read_random_codes(items)
    checked = 0
    for layout in task.layouts:
        chosen = rows.take(np.flatnonzero(rows.layout == TASKS.layouts.index(layout)))
        lengths = task.lengths(layout, items, chosen)
        assert set(lengths) == {field.name for field in layout.fields}
        for index in range(len(chosen)):
            fields = task.fields(layout, items, chosen, index, read_codes)
            shapes = {name: elements.shape[-1] for name, elements in fields.items()} | {"codebook": 1}
            assert {name: shapes.get(name, 0) for name in lengths} == {
                name: int(values[index]) for name, values in lengths.items()
            }, layout.name
            checked += 1
    assert checked > 10


def test_utterances_that_are_too_short_to_be_continued_are_text_to_speech():
    items = make_items(50, seconds=np.full(50, 0.02))
    rows = rows_of_epoch(items, continuation_ratio=1.0)
    assert {TASKS.layouts[number].task for number in rows.layout} == {"tts"}


def test_a_span_is_whole_words_with_context_and_the_only_part_that_is_hidden_or_labelled():
    items = make_items(60, word_seconds=0.4)
    rows = rows_of_epoch(items, editing_ratio=1.0, nar_len_ratio=0.5)
    edited = {number for number, layout in enumerate(TASKS.layouts) if layout.task == "cse"}
    assert set(rows.layout) == edited
    collator = Collator(items, RandomReader(items), CONFIG)
    for index in range(len(rows)):
        layout, item = TASKS.layouts[rows.layout[index]], rows.item[index]
        borders = items.borders[items.border_starts[item] : items.border_starts[item + 1]].tolist()
        start, end = rows.span_start[index], rows.span_start[index] + rows.span_frames[index]
        assert start in borders and end in borders
        assert 1 <= borders.index(end) - borders.index(start) <= max(1, (len(borders) - 1) // 2)
        row = collator._row(ScheduledBatch(SEED, 0, layout, rows, Cursor()), index)
        inside = np.zeros(items.num_frames[item], dtype=bool)
        inside[start:end] = True
        if layout.mode is Mode.NAR_LEN:
            assert row.masked.any() and not (row.masked & ~inside).any()
        if layout.mode is Mode.NAR:
            assert np.array_equal(row.labelled, inside)
            labels = make_batch(layout, [row], CONFIG).labels.numpy()
            assert np.array_equal(labels != IGNORED, inside)
        if layout.mode is Mode.AR:
            # The left side begins the target: positions of frames are those of their text, as in text-to-speech.
            assert row.fields["target"].shape == (8, end)
            assert row.fields["after"].shape == (8, items.num_frames[item] - end)
            assert "before" not in row.fields


def test_utterances_without_word_times_or_of_one_word_are_not_edited():
    for items in (make_items(30), make_items(30, word_seconds=100.0)):
        rows = rows_of_epoch(items, editing_ratio=1.0)
        assert {TASKS.layouts[number].task for number in rows.layout} == {"tts"}
    assert "valle data align" in EDITING.missing(make_items(3))
    assert EDITING.missing(make_items(3, word_seconds=0.3)) is None


def test_every_task_with_a_ratio_has_it_among_the_options_of_a_run():
    assert set(MIX) <= set(TrainSettings.model_fields)
    assert [task.ratio(TrainSettings(**MIX)) for task in TASKS.tasks] == [*[0.07] * len(RATIOS), 1.0]
    with pytest.raises(ValueError, match="add up to at most 1"):
        TrainSettings(continuation_ratio=0.5, transcription_ratio=0.6)


class CountTask:
    """A toy task: the number of symbols of a text, digit by digit. Nothing outside this class knows it."""

    name = "count"
    layout = Layout(name, Mode.TOKENS, (TEXT, LANGUAGE, CODEBOOK, LayoutField("count", Table.DIGITS)), Head.DIGITS)
    layouts = (layout,)

    def ratio(self, options):
        return 0.5

    def missing(self, items):
        return None

    def accepts(self, items, rows):
        return np.ones(len(rows), dtype=bool)

    def loss_name(self, layout):
        return self.name

    def specialize(self, rows, draws, items, options):
        count = dataclasses.replace(rows, codebook=np.zeros_like(rows.codebook), has_text=np.ones_like(rows.has_text))
        return count, np.zeros(len(rows), dtype=np.int64)

    def lengths(self, layout, items, rows):
        symbols, one = items.num_symbols[rows.item], np.ones(len(rows), dtype=np.int64)
        digits = np.array([len(str(number)) for number in symbols], dtype=np.int64)
        return {"text": symbols, "language": one, "codebook": one, "count": digits}

    def fields(self, layout, items, rows, index, read_codes):
        item = int(rows.item[index])
        symbols = items.symbols_of(item)
        count = np.array([int(digit) for digit in str(len(symbols))])
        return {"text": symbols, "language": items.language_ids[item : item + 1], "count": count}


def test_a_new_task_needs_its_module_and_a_place_in_the_registry():
    tasks = TaskRegistry((CountTask(), TTS))
    items = make_items(120, seconds=np.full(120, 0.5))
    config = CONFIG.model_copy(update={"languages": ("<unk>", "de", "en")})
    options = sampler_options(batch_tokens=900, config=config, tasks=tasks)
    collator = Collator(items, RandomReader(items), config, tasks)
    torch.manual_seed(0)
    model, window, rows, seen = ValleModel(config), Window(), 0, set()
    for scheduled in iterate_batches(items, options, start=Cursor()):
        if scheduled.epoch:
            break
        batch = collator(scheduled)
        lengths = tasks.task_of(scheduled.layout).lengths(scheduled.layout, items, scheduled.rows)
        planned = row_length(scheduled.layout, lengths, config.position_stride)
        assert batch.row_lengths.tolist() == planned.tolist()
        report = sequence_loss(model(batch), batch)
        report.total.backward()
        window.add(report, batch, tasks)
        rows += len(scheduled.rows)
        seen.add(scheduled.layout.task)
    assert (rows, seen) == (120, {"count", "tts"})
    assert window.quality()["loss_count"] > 0
