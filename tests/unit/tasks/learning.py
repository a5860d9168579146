"""Overfit a tiny model to two utterances of a task, without files: the rows are those that training samples."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch

from tests.unit.training.toy import SPEC, SYMBOLS, codes_for
from valle.data.collate import Collator
from valle.data.cursor import Cursor
from valle.data.epoch_rows import sample_copies, sample_rows
from valle.data.items.load import load_items
from valle.data.options import RowOptions
from valle.data.sampler import ScheduledBatch
from valle.model.config import preset
from valle.model.loss import sequence_loss
from valle.model.valle import ValleModel
from valle.phonemes import PhonemeTable
from valle.tasks.registry import TASKS

TABLE = PhonemeTable(SYMBOLS)
TEXTS = ("abcdef", "hgeca", "fdbgh", "cahed")
"""Two utterances to learn, and of each speaker another one for its prompt."""


@dataclass(frozen=True)
class Recording:
    """The codes [8, T] of an utterance, its mixture and what was added to it."""

    speech: np.ndarray
    mixture: np.ndarray
    interference: np.ndarray


def recordings():
    """Codes that are unlike each other: what a task makes of a mixture is never the mixture itself."""
    rng = np.random.default_rng(0)
    made = []
    for index, text in enumerate(TEXTS):
        speech = codes_for(text, index % 2)
        added = rng.integers(0, SPEC.codebook_size, speech.shape).astype(np.int16)
        made.append(Recording(speech, (speech + added + 5) % SPEC.codebook_size, added))
    return made


def items_of(kind):
    """Four items, each symbol a word, with mixtures of one kind."""
    frames = [2 * len(text) for text in TEXTS]
    edges = [np.arange(len(text) + 1) * 2 / SPEC.frame_rate for text in TEXTS]
    count = len(TEXTS)
    table = pa.table(
        {
            "segment_id": [f"s{index}" for index in range(count)],
            "speaker": [f"p{index % 2}" for index in range(count)],
            "language": ["en"] * count,
            # Two utterances are learnt, the others are prompts.
            "weight": pa.array([1.0, 1.0, 0.0, 0.0], pa.float32()),
            "symbols": [list(text) for text in TEXTS],
            "text": list(TEXTS),
            "duration": [count / SPEC.frame_rate for count in frames],
            "num_frames": pa.array(frames, pa.int32()),
            "codes_file": ["codes"] * count,
            "codes_row_group": pa.array([0] * count, pa.int32()),
            "codes_row": pa.array(range(count), pa.int32()),
            "word_times": [np.stack([one[:-1], one[1:]], axis=1).ravel().tolist() for one in edges],
            "mixture_kind": [kind] * count,
            "mixture_file": ["mixtures"] * count,
            "mixture_row_group": pa.array([0] * count, pa.int32()),
            "mixture_row": pa.array(range(count), pa.int32()),
        }
    )
    return load_items(table, TABLE.encode, lambda language: 1)


class MemoryReader:
    """Reads the codes of the recordings by their row."""

    def read(self, part, row_group, row, *, num_codebooks, start=0, stop=None):
        one = recordings()[row]
        codes = one.speech if part == "codes" else np.concatenate([one.mixture, one.interference])
        return codes[:num_codebooks, start:stop]


def overfit(ratio, *, steps, kind="noise", **options):
    """Train a model on one task, one row per codebook kind and utterance in each step; returns it."""
    config = preset("nano", SPEC, num_symbols=len(SYMBOLS), languages=["en"], text_stride=2.0)
    items = items_of(kind)
    rows_options = RowOptions(
        **{
            ratio: 1.0,
            "length_ratio": 0.0,
            "nar_len_ratio": 0.5,
            "condition_dropout": 0.0,
            "prompt_dropout": 0.0,
            "prompt_seconds": (0.2, 0.2),
            "codebook_weights": (4, 1, 1, 1, 1, 1, 1, 1),
            **options,
        }
    )
    collator = Collator(items, MemoryReader(), config)
    torch.manual_seed(0)
    model = ValleModel(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, betas=(0.9, 0.96), weight_decay=0.0)
    # Copies of an item draw their own codebook and mask.
    items.weights[:2] = 8.0
    for step in range(steps):
        copies = sample_copies(items, rows_options.seed, step)
        rows = sample_rows(items, *copies, rows_options, config, step, TASKS)
        batches = [
            collator(ScheduledBatch(0, step, layout, rows.take(np.flatnonzero(rows.layout == number)), Cursor()))
            for number, layout in enumerate(TASKS.layouts)
            if (rows.layout == number).any()
        ]
        labels = sum(batch.num_labels for batch in batches)
        for batch in batches:
            torch.autograd.backward(sequence_loss(model(batch), batch).total / labels)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = 5e-3 * min(1.0, (step + 1) / 10) * (1 - step / steps)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return model.eval()
