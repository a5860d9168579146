"""Rows of all caches of a trunk in one context of llama.cpp, which grows as they need more slots."""

import numpy as np

from valle.llama_cpp.context import Context, Floats, Ints, Weights
from warehouse.errors import ConfigurationError

# The most sequences that llama.cpp distinguishes.
MOST_ROWS = 256
_FIRST_CELLS = 1024
_BATCH = 512


class RowMemory:
    """Causal rows with their lengths; numbers of rows are reused after `release`."""

    def __init__(self, weights: Weights, threads: int) -> None:
        self._weights, self._threads = weights, threads
        self._lengths: dict[int, int] = {}
        self._context = self._make(_FIRST_CELLS)

    def take(self) -> int:
        """Return an unused row. Raises ConfigurationError when all are in use."""
        row = next((row for row in range(MOST_ROWS) if row not in self._lengths), None)
        if row is None:
            raise ConfigurationError(f"llama.cpp decodes {MOST_ROWS} rows at a time; speak fewer texts at a time.")
        self._lengths[row] = 0
        return row

    def release(self, rows: list[int]) -> None:
        """Forget rows."""
        for row in rows:
            self._context.remove(row)
            del self._lengths[row]

    def copy(self, row: int) -> int:
        """Return a new row with the slots of another."""
        target = self.take()
        self._context.copy(row, target)
        self._lengths[target] = self._lengths[row]
        return target

    def shorten(self, row: int, length: int) -> None:
        """Keep the first `length` slots of a row."""
        self._context.remove(row, length)
        self._lengths[row] = length

    def length(self, row: int) -> int:
        """Return the slots of a row."""
        return self._lengths[row]

    def extend(self, vectors: Floats, positions: Ints, rows: Ints) -> Floats:
        """Append n slots to the ends of rows and return their hidden states, [n, width]; see `Context.run`."""
        self._reserve(len(vectors))
        orders = np.zeros_like(rows)
        for row in np.unique(rows).tolist():
            chosen = rows == row
            orders[chosen] = self._lengths[row] + np.arange(chosen.sum())
            self._lengths[row] += int(chosen.sum())
        parts = [slice(start, start + _BATCH) for start in range(0, len(rows), _BATCH)]
        return np.concatenate(
            [self._context.run(vectors[part], positions[part], orders[part], rows[part]) for part in parts]
        )

    def _reserve(self, new: int) -> None:
        """Make room for new slots: a larger context takes over the rows of this one."""
        needed = sum(self._lengths.values()) + new
        if needed <= self._context.cells:
            return
        saved = {row: self._context.save(row) for row, length in self._lengths.items() if length}
        self._context = self._make(max(needed, 2 * self._context.cells))
        for row, state in saved.items():
            self._context.restore(row, state)

    def _make(self, cells: int) -> Context:
        return Context(self._weights, cells=cells, rows=MOST_ROWS, batch=_BATCH, threads=self._threads, is_causal=True)
