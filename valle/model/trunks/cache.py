"""Key-value cache of causal rows, so that one more frame costs one column.

Rows are right-padded at the prefill and then grow at their ends: a row of length n writes its next entry into column
n, over the padding. A step attends to the columns up to the one just written and to nothing else, as a full forward
would, so cached and uncached logits agree.

With a window the last columns of a row are a ring: the next entry replaces the oldest of the output. Keys have their
positions in them, so the order of columns does not matter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from valle.model.attention import ContextWindow, Mask

Floats = NDArray[np.float32]


class Cache:
    """Keys and values of `depth` layers, [B, heads, columns, size of a head] each, with room for `capacity` columns."""

    def __init__(self, depth: int, capacity: int = 0) -> None:
        self._keys: list[Tensor | None] = [None] * depth
        self._values: list[Tensor | None] = [None] * depth
        self._capacity = capacity
        self._rows: Tensor | None = None
        self._window: ContextWindow | None = None
        self._filled_from: Tensor | None = None  # [B, columns], slots of a prefill that is longer than its window
        self.lengths: Tensor | None = None  # [B], slots of each row
        self._longest = 0  # columns
        self._equal = True

    @property
    def is_empty(self) -> bool:
        """Return whether nothing has been written."""
        return self.lengths is None

    @property
    def num_bytes(self) -> int:
        """Count the bytes of all tensors, those of columns that are not in use included."""
        return sum(tensor.nbytes for tensor in (*self._keys, *self._values) if tensor is not None)

    def begin(self, mask: Mask, x: Tensor) -> None:
        """Prepare for a prefill with slots x [B, L, width] under a mask, whose window holds for later steps too."""
        self._window = window = mask.window
        if window is None:
            return
        lengths, columns = mask.row_lengths(len(x), x.shape[1], x.device), torch.arange(x.shape[1], device=x.device)
        ends = window.starts + window.size
        if bool((lengths > ends).any()):
            # The newest slot of each column of the ring; columns of the condition are their own slots.
            newest = columns + (lengths[:, None] - 1 - columns).clamp(min=0) // window.size * window.size
            self._filled_from = torch.where(columns < window.starts[:, None], columns, newest)[:, : int(ends.max())]

    def fill(self, layer: int, keys: Tensor, values: Tensor) -> None:
        """Store the keys and values of a prefill: [B, heads, L, size]."""
        if self._filled_from is not None:
            index = self._filled_from[:, None, :, None].expand(-1, keys.shape[1], -1, keys.shape[3])
            keys, values = keys.gather(2, index), values.gather(2, index)
        self._keys[layer] = self._with_room(keys, keys.shape[2])
        self._values[layer] = self._with_room(values, keys.shape[2])

    def append(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Write n columns per row, [B, heads, n, size], and return all columns up to the end of the longest row."""
        assert self.lengths is not None, "a step needs a prefill"
        assert self._rows is not None, "a step needs a prefill"
        new = key.shape[2]
        end = self._end(new)
        keys, values = self._room(layer, end)
        if self._equal:
            keys[:, :, self._longest : end] = key
            values[:, :, self._longest : end] = value
        else:
            columns = self._columns(self.lengths[:, None] + torch.arange(new, device=key.device))
            keys[self._rows[:, None], :, columns] = key.transpose(1, 2)
            values[self._rows[:, None], :, columns] = value.transpose(1, 2)
        return keys[:, :, :end], values[:, :, :end]

    def open_slot(self) -> tuple[Any, list[tuple[Floats, Floats]]]:
        """Make room for one more column per row, on a CPU.

        Returns the index of that column, and for each layer the keys and values [B, heads, columns, size] up to it.
        Written is [B, heads, size]; `advance` counts the column afterwards.
        """
        assert self.lengths is not None, "a step needs a prefill"
        assert self._rows is not None, "a step needs a prefill"
        end, entries = self._end(1), []
        for layer in range(len(self._keys)):
            keys, values = self._room(layer, end)
            entries.append((keys.numpy()[:, :, :end], values.numpy()[:, :, :end]))
        if self._equal:
            return np.s_[:, :, self._longest], entries
        columns = self._columns(self.lengths[:, None])[:, 0]
        return (self._rows.numpy(), slice(None), columns.numpy()), entries

    def step_mask(self, new: int = 1) -> Tensor | None:
        """Return the columns visible to each of `new` columns, [B, 1, new, columns]; None for all columns."""
        assert self.lengths is not None, "a step needs a prefill"
        if self._equal and new == 1:
            return None
        columns = torch.arange(self._end(new), device=self.lengths.device)
        last = self.lengths[:, None] + torch.arange(new, device=self.lengths.device)
        if self._window is not None:
            last = torch.minimum(last, (self._window.starts + self._window.size - 1)[:, None])
        return (columns <= last[..., None])[:, None]

    def grow(self, lengths: Tensor) -> None:
        """Set the number of slots of each row, [B], after all layers have written."""
        self.lengths = lengths
        self._rows = torch.arange(len(lengths), device=lengths.device)
        used = self._used(lengths)
        self._longest = int(used.max()) if len(lengths) else 0
        # Every row writes its next entry into the same new column.
        self._equal = bool((self._columns(lengths[:, None]) == self._longest).all())

    def advance(self) -> None:
        """Count one more slot of each row, after all layers have written it."""
        assert self.lengths is not None, "a step needs a prefill"
        if self._equal and self._window is None:
            self.lengths, self._longest = self.lengths + 1, self._longest + 1
        else:
            self.grow(self.lengths + 1)

    def shorten(self, columns: Tensor) -> None:
        """Take back the last `columns` [B] of each row."""
        assert self.lengths is not None, "nothing to take back"
        assert self._window is None, "what a ring has replaced cannot come back"
        self.grow(self.lengths - columns)

    def keep(self, rows: Tensor) -> None:
        """Select rows by index [B'], in that order."""
        assert self.lengths is not None, "nothing to keep"
        if self._window is not None:
            self._window = ContextWindow(self._window.starts[rows], self._window.size)
        self.grow(self.lengths[rows])
        for entries in (self._keys, self._values):
            for layer, tensor in enumerate(entries):
                assert tensor is not None
                entries[layer] = tensor[rows]

    def join(self, other: Cache) -> None:
        """Append the rows of another filled cache of the same depth."""
        assert self.lengths is not None, "rows join a filled cache"
        assert other.lengths is not None, "the rows that join have a prefill"
        for mine, theirs in ((self._keys, other._keys), (self._values, other._values)):
            for layer, (tensor, joined) in enumerate(zip(mine, theirs, strict=True)):
                assert tensor is not None
                assert joined is not None
                columns = max(tensor.shape[2], joined.shape[2])
                mine[layer] = torch.cat([self._with_room(tensor, columns), self._with_room(joined, columns)])
        if self._window is not None and other._window is not None:
            self._window = ContextWindow(torch.cat([self._window.starts, other._window.starts]), self._window.size)
        self.grow(torch.cat([self.lengths, other.lengths]))

    def _used(self, lengths: Tensor) -> Tensor:
        """Return the columns that hold the last slots of rows of these lengths, [B]."""
        return lengths if self._window is None else torch.minimum(lengths, self._window.starts + self._window.size)

    def _end(self, new: int) -> int:
        """Return the columns in use after `new` more slots."""
        if self._window is None:
            return self._longest + new
        assert self.lengths is not None, "a step needs a prefill"
        return int(self._used(self.lengths + new).max())

    def _columns(self, slots: Tensor) -> Tensor:
        """Return the columns of slots [B, n]."""
        if self._window is None:
            return slots
        first = self._window.starts[:, None]
        return torch.where(slots < first, slots, first + (slots - first) % self._window.size)

    def _room(self, layer: int, end: int) -> tuple[Tensor, Tensor]:
        """Return the keys and values of a layer, with at least `end` columns."""
        keys, values = self._keys[layer], self._values[layer]
        assert keys is not None
        assert values is not None
        if end > keys.shape[2]:
            keys = self._keys[layer] = self._with_room(keys, max(end, keys.shape[2] * 3 // 2))
            values = self._values[layer] = self._with_room(values, keys.shape[2])
        return keys, values

    def _with_room(self, tensor: Tensor, columns: int) -> Tensor:
        columns = max(columns, self._capacity)
        if tensor.shape[2] >= columns:
            return tensor
        enlarged = tensor.new_zeros(*tensor.shape[:2], columns, tensor.shape[3])
        enlarged[:, :, : tensor.shape[2]] = tensor
        return enlarged
