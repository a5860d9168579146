"""The protocol of the caches of causal rows; `blocks.Stack` has that of trunks."""

from typing import Protocol, Self

from torch import Tensor


class DecodingCache(Protocol):
    """Memory of causal rows, so that one more element costs one slot."""

    @property
    def is_empty(self) -> bool:
        """Return whether nothing has been written."""

    @property
    def lengths(self) -> Tensor | None:
        """Return the slots that each row has, [B]; None while it is empty."""

    def grow(self, lengths: Tensor) -> None:
        """Set the slots of each row, [B], after all layers have written."""

    def join(self, other: Self) -> None:
        """Append the rows of another filled cache of the same trunk."""

    def shorten(self, columns: Tensor) -> None:
        """Take back the last `columns` [B] slots of each row; a recurrent trunk cannot."""

    def keep(self, rows: Tensor) -> None:
        """Select rows by index [B'], in that order; a row may be repeated."""
