"""The trunk of a model in llama.cpp: tables, heads, samplers and codec stay those of this project."""

import weakref
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from valle.checkpoints.gguf.layout import position_steps
from valle.llama_cpp.context import Context, Floats, Ints, Weights
from valle.llama_cpp.memory import RowMemory
from valle.model.attention import Mask
from valle.model.config import ModelConfig
from valle.model.layout import MaskKind
from valle.model.trunks.blocks import Stack

# Contexts of whole rows have a multiple of this many slots, so that few lengths need a new one.
_SLOTS = 256


class LlamaCppCache:
    """Rows of a trunk's memory; see `DecodingCache`."""

    def __init__(self, memory: RowMemory) -> None:
        self.memory = memory
        self.rows: list[int] = []
        weakref.finalize(self, memory.release, self.rows)

    @property
    def is_empty(self) -> bool:
        """Return whether nothing has been written."""
        return not self.rows

    @property
    def lengths(self) -> Tensor | None:
        """Return the slots that each row has, [B]; None while it is empty."""
        return torch.tensor([self.memory.length(row) for row in self.rows]) if self.rows else None

    def grow(self, lengths: Tensor) -> None:
        """Do nothing: the memory counts the slots that it writes."""

    def join(self, other: Self) -> None:
        """Append the rows of another filled cache, which has none then."""
        self.rows += other.rows
        other.rows.clear()

    def shorten(self, columns: Tensor) -> None:
        """Take back the last `columns` [B] slots of each row."""
        for row, taken in zip(self.rows, columns.tolist(), strict=True):
            if taken:
                self.memory.shorten(row, self.memory.length(row) - taken)

    def keep(self, rows: Tensor) -> None:
        """Select rows by index [B'], in that order; a row may be repeated."""
        chosen: list[int] = []
        for index in rows.tolist():
            row = self.rows[index]
            chosen.append(self.memory.copy(row) if row in chosen else row)
        self.memory.release([row for row in self.rows if row not in chosen])
        self.rows[:] = chosen


class LlamaCppTrunk(Stack):
    """Hidden states by llama.cpp, without gradients: a trunk whose blocks are elsewhere."""

    def __init__(self, path: Path, config: ModelConfig) -> None:
        """Load the trunk of a GGUF file. Errors as `Weights`."""
        super().__init__([])
        self._steps = position_steps(config)
        self._weights = Weights(path)
        self._threads = torch.get_num_threads()
        self._memory = RowMemory(self._weights, self._threads)
        self._whole: Context | None = None

    def new_cache(self, capacity: int) -> LlamaCppCache:
        """See `Stack`; the memory grows by itself."""
        return LlamaCppCache(self._memory)

    def forward(
        self,
        x: Tensor,
        mask: Mask,
        positions: Tensor,
        cache: LlamaCppCache | None = None,
        codebooks: Tensor | None = None,
    ) -> Tensor:
        """Compute the hidden states of x; see `Stack`. What is padding stays zero."""
        rows, length, _ = x.shape
        vectors = x.detach().float().cpu().numpy()
        places = np.round(positions.numpy(force=True).astype(np.float64) * self._steps).astype(np.int32)
        is_continued = cache is not None and not cache.is_empty
        lengths = [length] * rows if is_continued or mask.lengths is None else mask.lengths.tolist()
        if mask.kind is MaskKind.CAUSAL:
            hidden = self._continue(vectors, places, lengths, self.new_cache(0) if cache is None else cache)
        else:
            hidden = self._read_whole(vectors, places, lengths)
        return torch.from_numpy(hidden).to(x)

    def _continue(self, vectors: Floats, places: Ints, lengths: list[int], cache: LlamaCppCache) -> Floats:
        """Append slots to the rows of a cache, or fill an empty one."""
        if cache.is_empty:
            cache.rows.extend(self._memory.take() for _ in lengths)
        is_used = np.arange(vectors.shape[1]) < np.array(lengths)[:, None]
        hidden = np.zeros_like(vectors)
        rows = np.repeat(np.array(cache.rows, dtype=np.int32), lengths)
        hidden[is_used] = self._memory.extend(vectors[is_used], places[is_used], rows)
        return hidden

    def _read_whole(self, vectors: Floats, places: Ints, lengths: list[int]) -> Floats:
        """Compute rows whose slots attend to all of their row, one after the other."""
        hidden = np.zeros_like(vectors)
        for row, length in enumerate(lengths):
            context = self._whole_context(length)
            orders = np.arange(length, dtype=np.int32)
            hidden[row, :length] = context.run(
                vectors[row, :length], places[row, :length], orders, np.zeros_like(orders)
            )
            context.clear()
        return hidden

    def _whole_context(self, length: int) -> Context:
        # Without a causal mask llama.cpp computes a row in one pass only.
        if self._whole is None or self._whole.cells < length:
            cells = -(-length // _SLOTS) * _SLOTS
            self._whole = Context(
                self._weights, cells=cells, rows=1, batch=cells, threads=self._threads, is_causal=False
            )
        return self._whole
