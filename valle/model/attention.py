"""Attention masks, and the two kernels that apply them.

torch's fused attention needs a mask of slots; flex attention (torch 2.5) compiles a rule and skips the blocks that it
leaves empty, which is faster on long padded batches. A test compares both.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache as memoized
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from valle.model.layout import MaskKind
from warehouse.errors import ConfigurationError


class AttentionKernel(StrEnum):
    """Attention kernel: `sdpa` anywhere, `flex` for training on GPUs (on a CPU it has no gradients)."""

    SDPA = "sdpa"
    FLEX = "flex"


@dataclass(frozen=True, slots=True)
class Mask:
    """The kind of mask, and the valid length of each row [B]; None when nothing is padded."""

    kind: MaskKind
    lengths: Tensor | None

    def columns(self, length: int, device: torch.device) -> Tensor | None:
        """Return which of `length` columns are visible, [B, 1, 1, length]; None when the kind alone decides."""
        # Right padding is after every valid slot, so a causal mask already hides it.
        if self.kind is MaskKind.CAUSAL or self.lengths is None:
            return None
        return (torch.arange(length, device=device) < self.lengths[:, None])[:, None, None]

    def valid(self, rows: int, length: int, device: torch.device) -> Tensor | None:
        """Return which slots are no padding, [rows, length]; None for all."""
        return None if self.lengths is None else torch.arange(length, device=device) < self.lengths[:, None]

    def blocks(self, rows: int, length: int, device: torch.device) -> BlockMask:
        """Return the mask as a rule for flex attention."""
        lengths, is_causal = self.lengths, self.kind is MaskKind.CAUSAL

        def is_visible(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            if is_causal:
                return key <= query
            return key < lengths[row] if lengths is not None else key >= 0

        return create_block_mask(is_visible, rows, None, length, length, device=str(device))


@dataclass(frozen=True, slots=True)
class Attend:
    """Attention of one pass: the mask is made once and used in every layer."""

    columns: Tensor | None = None
    is_causal: bool = False
    blocks: BlockMask | None = None

    @classmethod
    def by(cls, kernel: AttentionKernel, mask: Mask, x: Tensor) -> "Attend":
        """Prepare attention among the slots of x [B, L, width] under `mask`.

        Raises ConfigurationError when gradients are enabled that the kernel lacks.
        """
        (rows, length), device = x.shape[:2], x.device
        if kernel is AttentionKernel.FLEX:
            if device.type == "cpu" and torch.is_grad_enabled():
                raise ConfigurationError("Flex attention has no gradients on a CPU; leave `attention` at sdpa there.")
            return cls(blocks=mask.blocks(rows, length, device))
        return cls(columns=mask.columns(length, device), is_causal=mask.kind is MaskKind.CAUSAL)

    def __call__(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend with queries [B, heads, L, size], and keys and values of as many heads or of a divisor of them.

        Returns the shape of the queries. Several query heads share a key head in order (Ainslie et al.,
        arXiv 2305.13245).
        """
        is_grouped = query.shape[1] != key.shape[1]
        if self.blocks is not None:
            attended: Tensor = _flex(query.device.type)(
                query, key, value, block_mask=self.blocks, enable_gqa=is_grouped
            )
            return attended
        # No dropout on attention weights: drawing it is slower than the attention itself, and no fused CPU kernel has
        # it. The output of the layer has dropout.
        return functional.scaled_dot_product_attention(
            query, key, value, attn_mask=self.columns, is_causal=self.is_causal, enable_gqa=is_grouped
        )


@memoized
def _flex(device_type: str) -> Any:
    """Return flex attention, compiled on GPUs only: compilation needs a minute and fuses the kernel."""
    return torch.compile(flex_attention) if device_type == "cuda" else flex_attention
