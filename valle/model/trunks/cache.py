"""Key-value cache of causal rows, so that one more frame costs one column.

Rows are right-padded at the prefill and then grow at their ends: a row of length n writes its next entry into column
n, over the padding. A step attends to the columns up to the one just written and to nothing else, as a full forward
would, so cached and uncached logits agree.
"""

import torch
from torch import Tensor


class Cache:
    """Keys and values of `depth` layers, [B, heads, columns, size of a head] each, with room for `capacity` columns."""

    def __init__(self, depth: int, capacity: int = 0) -> None:
        self._keys: list[Tensor | None] = [None] * depth
        self._values: list[Tensor | None] = [None] * depth
        self._capacity = capacity
        self._rows: Tensor | None = None
        self.lengths: Tensor | None = None  # [B], columns written in each row
        self._longest = 0
        self._equal = True

    @property
    def is_empty(self) -> bool:
        """Return whether nothing has been written."""
        return self.lengths is None

    def fill(self, layer: int, keys: Tensor, values: Tensor) -> None:
        """Store the keys and values of a prefill: [B, heads, L, size]."""
        self._keys[layer] = self._with_room(keys, keys.shape[2])
        self._values[layer] = self._with_room(values, keys.shape[2])

    def append(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Write n columns per row, [B, heads, n, size], and return all columns up to the end of the longest row."""
        assert self.lengths is not None, "a step needs a prefill"
        assert self._rows is not None, "a step needs a prefill"
        new = key.shape[2]
        end = self._longest + new
        keys, values = self._keys[layer], self._values[layer]
        assert keys is not None
        assert values is not None
        if end > keys.shape[2]:
            keys = self._keys[layer] = self._with_room(keys, max(end, keys.shape[2] * 3 // 2))
            values = self._values[layer] = self._with_room(values, keys.shape[2])
        if self._equal:
            keys[:, :, self._longest : end] = key
            values[:, :, self._longest : end] = value
        else:
            columns = self.lengths[:, None] + torch.arange(new, device=key.device)
            keys[self._rows[:, None], :, columns] = key.transpose(1, 2)
            values[self._rows[:, None], :, columns] = value.transpose(1, 2)
        return keys[:, :, :end], values[:, :, :end]

    def step_mask(self, new: int = 1) -> Tensor | None:
        """Return the columns visible to each of `new` columns, [B, 1, new, columns]; None for all columns."""
        assert self.lengths is not None, "a step needs a prefill"
        if self._equal and new == 1:
            return None
        columns = torch.arange(self._longest + new, device=self.lengths.device)
        own = self.lengths[:, None] + torch.arange(new, device=self.lengths.device)
        return (columns <= own[..., None])[:, None]

    def grow(self, lengths: Tensor) -> None:
        """Set the number of columns of each row, [B], after all layers have written."""
        self.lengths = lengths
        self._rows = torch.arange(len(lengths), device=lengths.device)
        self._longest = int(lengths.max()) if len(lengths) else 0
        self._equal = bool((lengths == self._longest).all())

    def shorten(self, columns: Tensor) -> None:
        """Take back the last `columns` [B] of each row."""
        assert self.lengths is not None, "nothing to take back"
        self.grow(self.lengths - columns)

    def keep(self, rows: Tensor) -> None:
        """Select rows by index [B'], in that order."""
        assert self.lengths is not None, "nothing to keep"
        self.grow(self.lengths[rows])
        for entries in (self._keys, self._values):
            for layer, tensor in enumerate(entries):
                assert tensor is not None
                entries[layer] = tensor[rows]

    def join(self, other: "Cache") -> None:
        """Append the rows of another filled cache of the same depth."""
        assert self.lengths is not None, "rows join a filled cache"
        assert other.lengths is not None, "the rows that join have a prefill"
        for mine, theirs in ((self._keys, other._keys), (self._values, other._values)):
            for layer, (tensor, joined) in enumerate(zip(mine, theirs, strict=True)):
                assert tensor is not None
                assert joined is not None
                columns = max(tensor.shape[2], joined.shape[2])
                mine[layer] = torch.cat([self._with_room(tensor, columns), self._with_room(joined, columns)])
        self.grow(torch.cat([self.lengths, other.lengths]))

    def _with_room(self, tensor: Tensor, columns: int) -> Tensor:
        columns = max(columns, self._capacity)
        if tensor.shape[2] >= columns:
            return tensor
        enlarged = tensor.new_zeros(*tensor.shape[:2], columns, tensor.shape[3])
        enlarged[:, :, : tensor.shape[2]] = tensor
        return enlarged
