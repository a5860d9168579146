"""The protocol of trunks and of the caches of their causal rows."""

from typing import Protocol, Self

from torch import Tensor

from valle.model.attention import AttentionKernel, Mask
from valle.model.trunks.experts import RouterReport


class DecodingCache(Protocol):
    """Memory of causal rows, so that one more element costs one slot."""

    @property
    def is_empty(self) -> bool:
        """Return whether nothing has been written."""

    @property
    def lengths(self) -> Tensor | None:
        """Return the slots that each row has, [B]; None while it is empty."""

    def join(self, other: Self) -> None:
        """Append the rows of another filled cache of the same trunk."""

    def shorten(self, columns: Tensor) -> None:
        """Take back the last `columns` [B] slots of each row; a recurrent trunk cannot."""

    def keep(self, rows: Tensor) -> None:
        """Select rows by index [B'], in that order; a row may be repeated."""


class Trunk(Protocol):
    """Map vectors to normalised hidden states, both [B, L, width].

    `kernel` and `gradient_checkpointing` change how a trunk computes, not what.
    """

    kernel: AttentionKernel
    gradient_checkpointing: bool

    def __call__(
        self, x: Tensor, mask: Mask, positions: Tensor, cache: DecodingCache | None, codebooks: Tensor
    ) -> Tensor:
        """Compute the hidden states of x at `positions` [B, L], of rows that predict `codebooks` [B].

        A causal call fills an empty cache; with a filled cache the L slots continue each row at its end. A recurrent
        trunk continues by one slot at a time.
        """

    def router_report(self) -> RouterReport | None:
        """Return how evenly the last forward used its experts; None for a trunk without any."""

    def new_cache(self, capacity: int) -> DecodingCache:
        """Return an empty cache with room for `capacity` slots; more are added on demand."""
