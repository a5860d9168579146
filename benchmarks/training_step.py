"""Compare a training step with one that computes the same rows as a padded batch of a transformers trunk.

`python benchmarks/training_step.py [--size 20m] [--batches 8] [--precision fp32|bf16]`: some batches of an epoch of
utterances of 1 to 8 s with prompts of 3 to 6 s, in AR, NAR-len and NAR rows as the default training mix draws them.
Ours are the batches of the loader at its default size and the updates of the plain engine. The reference trains on
the same rows, so that the ratio of CPU seconds is that of real tokens a CPU second. Both sides have one shape, one
precision, fused AdamW and a clipped gradient; steps of both alternate. Making the batches is part of neither.

The reference is built of public packages (torch, `LlamaModel` of transformers with its fused attention) in the way
that e-c-k-e-r/vall-e is known to work: every batch mixes AR and NAR rows, padded on the right to the longest; each
segment of a row is embedded on its own, with a table per codebook whose vectors are summed, and the segments are
joined by separators; causal and full rows have one mask of four dimensions; the head of a row computes the logits of
all its slots, and the loss is the mean over rows of their cross-entropy. Batches are of eight rows, once in random
order (the order of that project unless durations are sorted), once sorted by whole seconds of the target. It does not
contain what else that project does in a step: metrics, gathered statistics, dropout of attention, nor its data
loading, and its masks and labels are made before the step. So it is a lower bound of that step's cost, and not a
measurement of that project.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import takewhile, zip_longest
from pathlib import Path

import numpy as np
import torch
from figures import report
from task_rows import SPEC, make_items
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaConfig, LlamaModel

from valle.data.codes_reader import CodesReader
from valle.data.collate import Collator
from valle.data.cursor import Cursor
from valle.data.options import RowOptions
from valle.data.sampler import SamplerOptions, iterate_batches
from valle.model.batch import IGNORED, Batch, make_batch
from valle.model.config import BEGIN_SYMBOL, END_SYMBOL, ModelConfig, preset
from valle.model.layout import Mode
from valle.model.row import Row
from valle.model.valle import ValleModel
from valle.training.engines.engine import PlainEngine
from valle.training.options import TrainOptions

ROWS_OF_BATCH = 8
UTTERANCES = 1000
Step = Callable[[], object]


@dataclass(frozen=True, slots=True)
class ModeRow:
    """A row with the mode in which its target is predicted."""

    mode: Mode
    row: Row

    @property
    def frames(self) -> int:
        """Return the frames of the target."""
        return int(self.row.fields["target"].shape[-1])


@dataclass(frozen=True, slots=True)
class PaddedBatch:
    """Rows of any mode with the mask and the labels of their grid [B, L]."""

    rows: Sequence[ModeRow]
    mask: Tensor  # [B, 1, L, L], added to scores
    labels: Tensor  # [B, L], of the slots that predict


class PaddedModel(nn.Module):
    """The trunk of transformers between tables of each role and codebook, and heads."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, size, books = config.width, config.codebook_size, config.num_codebooks
        self.stop, self.masked = size, size + 1  # beside the codes
        self.text = nn.Embedding(config.num_symbols, width)
        self.language, self.level = nn.Embedding(len(config.languages), width), nn.Embedding(books, width)
        self.prompts = nn.ModuleList([nn.Embedding(size, width) for _ in range(books)])
        # Of AR, of the codebooks below a NAR target, and of NAR-len with its mask.
        self.targets = nn.ModuleList([nn.Embedding(size + 2, width) for _ in range(books + 1)])
        self.heads = nn.ModuleList([nn.Linear(width, size + 1) for _ in range(books + 1)])
        self.separator = nn.Parameter(torch.randn(width))
        self.trunk = LlamaModel(
            LlamaConfig(
                vocab_size=1,
                hidden_size=width,
                intermediate_size=config.feed_forward,
                num_hidden_layers=config.depth,
                num_attention_heads=config.heads,
                hidden_act=config.activation,
                max_position_embeddings=1 << 15,
                bos_token_id=None,
                eos_token_id=None,
                attn_implementation="sdpa",
                use_cache=False,
            )
        )

    def segments(self, row: ModeRow) -> list[Tensor]:
        """Embed the segments of a row: text, language, level, perhaps a prompt, target."""
        fields, book = row.row.fields, row.row.codebook
        text = torch.from_numpy(np.asarray(fields.get("text", (BEGIN_SYMBOL, END_SYMBOL)), dtype=np.int64))
        found = [self.text(text), self.language(torch.zeros(1, dtype=torch.long)), self.level(torch.tensor([book]))]
        if "prompt" in fields and fields["prompt"].shape[-1]:
            prompt = torch.from_numpy(fields["prompt"].astype(np.int64))
            found.append(sum_vectors(list(self.prompts)[: max(1, book)], prompt))
        target = torch.from_numpy(fields["target"].astype(np.int64))
        if row.mode is Mode.AR:
            found.append(self.targets[0](target[0]))
        elif row.mode is Mode.NAR:
            found.append(sum_vectors(list(self.targets)[1 : book + 1], target))
        else:
            hidden = torch.from_numpy(np.asarray(row.row.masked))
            found.append(self.targets[-1](target[0].masked_fill(hidden, self.masked)))
        return found

    def forward(self, batch: PaddedBatch) -> Tensor:
        """Compute the loss, the mean over the rows."""
        sequences = []
        for row in batch.rows:
            pieces = [piece for segment in self.segments(row) for piece in (segment, self.separator[None])]
            sequences.append(torch.cat(pieces[:-1]))
        x = nn.utils.rnn.pad_sequence(sequences, batch_first=True)
        positions = torch.arange(x.shape[1])[None].expand(len(x), -1)
        hidden = self.trunk(inputs_embeds=x, attention_mask=batch.mask.to(x.dtype), position_ids=positions)
        losses = []
        for row, states, labels in zip(batch.rows, hidden.last_hidden_state, batch.labels, strict=True):
            head = self.heads[-1 if row.mode is Mode.NAR_LEN else row.row.codebook]
            losses.append(functional.cross_entropy(head(states).float(), labels, ignore_index=IGNORED))
        return torch.stack(losses).mean()


def sum_vectors(tables: Sequence[nn.Module], codes: Tensor) -> Tensor:
    """Sum the vectors of codes [K, T], of which each table embeds a codebook: [T, width]."""
    return torch.stack([table(book) for table, book in zip(tables, codes, strict=False)]).sum(0)


def pad_rows(rows: Sequence[ModeRow], model: PaddedModel) -> PaddedBatch:
    """Make the mask and the labels of a batch of the reference."""
    with torch.no_grad():
        lengths = [[len(segment) for segment in model.segments(row)] for row in rows]
    totals = [sum(pieces) + len(pieces) - 1 for pieces in lengths]
    longest = max(totals)
    mask = torch.zeros(len(rows), 1, longest, longest)
    labels = torch.full((len(rows), longest), IGNORED)
    for index, (row, total) in enumerate(zip(rows, totals, strict=True)):
        hidden, lowest = torch.zeros(longest, longest, dtype=torch.bool), torch.finfo(torch.float32).min
        hidden[:, total:] = True
        if row.mode is Mode.AR:
            hidden |= torch.ones(longest, longest, dtype=torch.bool).triu(1)
        mask[index, 0].masked_fill_(hidden, lowest)
        codes = torch.from_numpy(row.row.fields["target"][row.row.codebook].astype(np.int64))
        if row.mode is Mode.AR:
            codes = torch.cat([codes, torch.tensor([model.stop])])
        elif row.mode is Mode.NAR_LEN:
            codes = codes.masked_fill(~torch.from_numpy(np.asarray(row.row.masked)), IGNORED)
        labels[index, total - row.frames - int(row.mode is Mode.AR) :][: len(codes)] = codes
    return PaddedBatch(rows, mask, labels)


def draw_batches(folder: Path, count: int, config: ModelConfig, tokens: int) -> list[tuple[Batch, list[ModeRow]]]:
    """Return `count` batches of an epoch, evenly spaced in its shuffled order, and the rows of each."""
    items = make_items(folder, UTTERANCES)
    options = SamplerOptions(rows=RowOptions(length_ratio=0.0), batch_tokens=tokens, config=config)
    collator = Collator(items, CodesReader(folder), config)
    epoch = list(takewhile(lambda batch: batch.epoch == 0, iterate_batches(items, options, start=Cursor())))
    found = []
    for batch in epoch[:: len(epoch) // count][:count]:
        rows = collator.rows(batch)
        found.append((make_batch(batch.layout, rows, config), [ModeRow(batch.layout.mode, row) for row in rows]))
    return found


def our_steps(engine: PlainEngine, batches: Sequence[Batch]) -> list[Step]:
    """Return the updates of the engine."""

    def step(batch: Batch) -> None:
        engine.accumulate(batch, batch.num_labels)
        engine.update(1e-4)

    return [partial(step, batch) for batch in batches]


def padded_steps(model: PaddedModel, batches: Sequence[PaddedBatch], dtype: torch.dtype | None) -> list[Step]:
    """Return the updates of the reference."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.96), fused=True)

    def autocast() -> AbstractContextManager[object]:
        return torch.autocast("cpu", dtype=dtype) if dtype else nullcontext()

    def step(batch: PaddedBatch) -> None:
        with autocast():
            loss = model(batch)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return [partial(step, batch) for batch in batches]


def alternate(sides: Sequence[Sequence[Step]]) -> list[float]:
    """Run the steps of all sides in turn; CPU seconds of each side. The first step of each runs once before."""
    for steps in sides:
        steps[0]()
    seconds = [0.0] * len(sides)
    for steps in zip_longest(*sides):
        for side, step in enumerate(steps):
            if step is not None:
                started = time.process_time()
                step()
                seconds[side] += time.process_time() - started
    return seconds


def main() -> int:
    """Print tokens a CPU second and the ratios; 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="20m")
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = preset(arguments.size, SPEC, num_symbols=64, languages=["en"])
    reference = PaddedModel(config).train()
    none = Path(os.devnull)
    options = TrainOptions(training_set=none, run_dir=none, model=arguments.size, precision=arguments.precision)
    engine = PlainEngine(ValleModel(config), options)
    with tempfile.TemporaryDirectory() as name:
        drawn = draw_batches(Path(name), arguments.batches, config, options.batch_tokens)
    rows = [row for _, members in drawn for row in members]
    shuffled = [rows[index] for index in np.random.default_rng(0).permutation(len(rows))]
    orders = (shuffled, sorted(shuffled, key=lambda row: int(row.frames / SPEC.frame_rate)))
    dtype = torch.bfloat16 if arguments.precision == "bf16" else None
    sides = [our_steps(engine, [batch for batch, _ in drawn])]
    for order in orders:
        cut = [order[start : start + ROWS_OF_BATCH] for start in range(0, len(order), ROWS_OF_BATCH)]
        sides.append(padded_steps(reference, [pad_rows(members, reference) for members in cut], dtype))
    ours, mixed, by_second = alternate(sides)
    tokens = sum(batch.num_tokens for batch, _ in drawn)
    padding = 1 - tokens / sum(batch.num_slots for batch, _ in drawn)
    print(
        f"load {os.getloadavg()[0]:.1f}; {len(rows)} rows, {tokens} tokens, {100 * padding:.1f} % padding; "
        f"{tokens / ours:,.0f} tokens a CPU second"
    )
    held = report("training step: tokens a CPU s, over mixed padded rows", mixed / ours, 1.5, at_least=True)
    held &= report("the same, over padded rows of equal seconds", by_second / ours, 1.2, at_least=True)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
