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
        """Write one column per row, [B, heads, 1, size], and return all columns up to the end of the longest row."""
        assert self.lengths is not None, "a step needs a prefill"
        end = self._longest + 1
        keys, values = self._keys[layer], self._values[layer]
        assert keys is not None
        assert values is not None
        if end > keys.shape[2]:
            keys = self._keys[layer] = self._with_room(keys, max(end, keys.shape[2] * 3 // 2))
            values = self._values[layer] = self._with_room(values, keys.shape[2])
        if self._equal:
            keys[:, :, end - 1] = key[:, :, 0]
            values[:, :, end - 1] = value[:, :, 0]
        else:
            keys[self._rows, :, self.lengths] = key[:, :, 0]
            values[self._rows, :, self.lengths] = value[:, :, 0]
        return keys[:, :, :end], values[:, :, :end]

    def step_mask(self) -> Tensor | None:
        """Return the columns visible to a step, [B, 1, 1, columns]; None when every row sees all of them."""
        assert self.lengths is not None, "a step needs a prefill"
        if self._equal:
            return None
        columns = torch.arange(self._longest + 1, device=self.lengths.device)
        return (columns <= self.lengths[:, None])[:, None, None]

    def grow(self, lengths: Tensor) -> None:
        """Set the number of columns of each row, [B], after all layers have written."""
        self.lengths = lengths
        self._rows = torch.arange(len(lengths), device=lengths.device)
        self._longest = int(lengths.max()) if len(lengths) else 0
        self._equal = bool((lengths == self._longest).all())

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
