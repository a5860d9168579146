"""Who attends to whom, and the two kernels that compute it.

torch's fused attention takes a mask of slots; flex attention (torch 2.5) takes the rule and skips the blocks that it
leaves empty, which pays on long padded batches. Both see the same: a test holds them against each other.
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
    """What computes attention: `sdpa` anywhere, `flex` for training on GPUs (on a CPU it has no gradients)."""

    SDPA = "sdpa"
    FLEX = "flex"


@dataclass(frozen=True, slots=True)
class Mask:
    """Who may attend to whom: the kind, and the valid length of each row [B]; None when nothing is padded."""

    kind: MaskKind
    lengths: Tensor | None

    def columns(self, length: int, device: torch.device) -> Tensor | None:
        """Which of `length` columns any slot may see, [B, 1, 1, length]; None when the kind alone decides."""
        # Right padding lies after every valid slot, so a causal mask already hides it.
        if self.kind is MaskKind.CAUSAL or self.lengths is None:
            return None
        return (torch.arange(length, device=device) < self.lengths[:, None])[:, None, None]

    def blocks(self, rows: int, length: int, device: torch.device) -> BlockMask:
        """The same as a rule for flex attention."""
        lengths, is_causal = self.lengths, self.kind is MaskKind.CAUSAL

        def is_seen(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            if is_causal:
                return key <= query
            return key < lengths[row] if lengths is not None else key >= 0

        return create_block_mask(is_seen, rows, None, length, length, device=str(device))


@dataclass(frozen=True, slots=True)
class Attend:
    """Attention of one pass over all layers: the mask is made once and used in each of them."""

    columns: Tensor | None = None
    is_causal: bool = False
    blocks: BlockMask | None = None

    @classmethod
    def by(cls, kernel: AttentionKernel, mask: Mask, x: Tensor) -> "Attend":
        """How the slots of x [B, L, width] attend to one another under `mask`.

        Raises ConfigurationError where gradients are wanted that the kernel does not have.
        """
        (rows, length), device = x.shape[:2], x.device
        if kernel is AttentionKernel.FLEX:
            if device.type == "cpu" and torch.is_grad_enabled():
                raise ConfigurationError("Flex attention has no gradients on a CPU; leave `attention` at sdpa there.")
            return cls(blocks=mask.blocks(rows, length, device))
        return cls(columns=mask.columns(length, device), is_causal=mask.kind is MaskKind.CAUSAL)

    def __call__(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Values by weight, [B, heads, L, size], of queries, keys and values of that shape."""
        if self.blocks is not None:
            attended: Tensor = _flex(query.device.type)(query, key, value, block_mask=self.blocks)
            return attended
        # No dropout on the weights of attention: drawing it takes longer than the attention itself, and no fused kernel
        # of the CPU has it. The output of the layer has dropout.
        return functional.scaled_dot_product_attention(
            query, key, value, attn_mask=self.columns, is_causal=self.is_causal
        )


@memoized
def _flex(device_type: str) -> Any:
    """Flex attention is fused only when it is compiled, which takes a minute and pays on GPUs."""
    return torch.compile(flex_attention) if device_type == "cuda" else flex_attention
