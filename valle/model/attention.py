"""Attention masks, and the kernels that apply them.

torch's fused attention needs a mask of slots; flex attention (torch 2.5) compiles a rule and skips the blocks that it
leaves empty, which is faster on long padded batches. Two matrix products hold all scores in memory; in bf16 on a CPU
their gradient takes half the time of that of the fused kernel. torch chooses a fused kernel by itself, or uses the one
that is named. A test compares all that a CPU has.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache as memoized
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from valle.model.layout import MaskKind
from valle.model.trunks.attention_packages import FlashAttention, XformersAttention
from warehouse.errors import ConfigurationError


class AttentionKernel(StrEnum):
    """Attention kernel: `sdpa` anywhere, `flex` for training on GPUs, `matmul` for bf16 training on CPUs.

    `flex` has no gradients on a CPU. `flash-attn` and `xformers` are packages, so is `fla`, flash-linear-attention, for
    the recurrent trunks, and the others are single kernels behind `sdpa`.
    """

    SDPA = "sdpa"
    MATMUL = "matmul"
    FLEX = "flex"
    FLASH = "flash"
    EFFICIENT = "efficient"
    CUDNN = "cudnn"
    MATH = "math"
    FLASH_ATTN = "flash-attn"
    XFORMERS = "xformers"
    FLA = "fla"


_BACKENDS: Mapping[AttentionKernel, SDPBackend] = MappingProxyType(
    {
        AttentionKernel.FLASH: SDPBackend.FLASH_ATTENTION,
        AttentionKernel.EFFICIENT: SDPBackend.EFFICIENT_ATTENTION,
        AttentionKernel.CUDNN: SDPBackend.CUDNN_ATTENTION,
        AttentionKernel.MATH: SDPBackend.MATH,
    }
)


@dataclass(frozen=True, slots=True)
class ContextWindow:
    """A limit on causal rows: a slot sees its condition, and of its output itself and the `size` - 1 slots before.

    `starts` [B] are the first slots of the output of each row.
    """

    starts: Tensor
    size: int


@dataclass(frozen=True, slots=True)
class Mask:
    """The kind of mask, the valid length of each row [B], None when nothing is padded, and a limit on causal rows."""

    kind: MaskKind
    lengths: Tensor | None
    window: ContextWindow | None = None

    def columns(self, length: int, device: torch.device) -> Tensor | None:
        """Return the columns that slots see, [B, 1, 1 or length, length]; None when the kind alone decides."""
        if self.window is not None:
            slots = torch.arange(length, device=device)
            distance = slots[:, None] - slots
            is_condition = slots < self.window.starts[:, None, None]
            return ((distance >= 0) & ((distance < self.window.size) | is_condition))[:, None]
        # Right padding is after every valid slot, so a causal mask already hides it.
        if self.kind is MaskKind.CAUSAL or self.lengths is None:
            return None
        return (torch.arange(length, device=device) < self.lengths[:, None])[:, None, None]

    def valid(self, rows: int, length: int, device: torch.device) -> Tensor | None:
        """Return which slots are no padding, [rows, length]; None for all."""
        return None if self.lengths is None else torch.arange(length, device=device) < self.lengths[:, None]

    def row_lengths(self, rows: int, length: int, device: torch.device) -> Tensor:
        """Return how many slots of each row are no padding, [rows]."""
        return torch.full((rows,), length, device=device) if self.lengths is None else self.lengths

    def bias(self, x: Tensor) -> Tensor:
        """Return what is added to the scores of x [B, L, width]: 0 or -inf, [B or 1, 1 or L, L]."""
        length, columns = x.shape[1], self.columns(x.shape[1], x.device)
        if self.window is not None and columns is not None:
            return x.new_zeros(len(x), length, length).masked_fill(~columns[:, 0], float("-inf"))
        if self.kind is MaskKind.CAUSAL:
            return x.new_full((1, length, length), float("-inf")).triu(1)
        if columns is None:
            return x.new_zeros(1, 1, length)
        return x.new_zeros(len(x), 1, length).masked_fill(~columns[:, 0], float("-inf"))

    def blocks(self, rows: int, length: int, device: torch.device) -> BlockMask:
        """Return the mask as a rule for flex attention."""
        lengths, is_causal, window = self.lengths, self.kind is MaskKind.CAUSAL, self.window

        def is_visible(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            if window is not None:
                return (key <= query) & ((query - key < window.size) | (key < window.starts[row]))
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
    bias: Tensor | None = None
    backend: SDPBackend | None = None
    package: FlashAttention | XformersAttention | None = None

    @classmethod
    def by(cls, kernel: AttentionKernel, mask: Mask, x: Tensor) -> "Attend":
        """Prepare attention among the slots of x [B, L, width] under `mask`.

        Raises ConfigurationError without the package of a kernel, where gradients are enabled that it lacks, and for a
        kernel of recurrent trunks.
        """
        (rows, length), device = x.shape[:2], x.device
        if kernel is AttentionKernel.FLEX:
            if device.type == "cpu" and torch.is_grad_enabled():
                raise ConfigurationError("Flex attention has no gradients on a CPU; leave `attention` at sdpa there.")
            return cls(blocks=mask.blocks(rows, length, device))
        if kernel is AttentionKernel.FLA:
            raise ConfigurationError("The kernel fla is for the trunks retnet and mamba; leave `attention` at sdpa.")
        if kernel is AttentionKernel.MATMUL:
            return cls(bias=mask.bias(x))
        if kernel in (AttentionKernel.FLASH_ATTN, AttentionKernel.XFORMERS):
            return cls(package=_packaged(kernel, mask, x))
        columns, is_causal = mask.columns(length, device), mask.kind is MaskKind.CAUSAL and mask.window is None
        return cls(columns=columns, is_causal=is_causal, backend=_BACKENDS.get(kernel))

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
        if self.package is not None:
            return self.package(query, key, value)
        if self.bias is not None:
            return _multiply(query, key, value, self.bias)
        # No dropout on attention weights: drawing it is slower than the attention itself, and no fused CPU kernel has
        # it. The output of the layer has dropout.
        if self.backend is None:
            return functional.scaled_dot_product_attention(
                query, key, value, attn_mask=self.columns, is_causal=self.is_causal, enable_gqa=is_grouped
            )
        try:
            with sdpa_kernel(self.backend):
                return functional.scaled_dot_product_attention(
                    query, key, value, attn_mask=self.columns, is_causal=self.is_causal, enable_gqa=is_grouped
                )
        except RuntimeError as error:
            if not any(reason in str(error) for reason in ("No available kernel", "No viable backend")):
                raise
            raise ConfigurationError(
                f"This device has no {self.backend.name} kernel for these masks and sizes; leave `attention` at sdpa."
            ) from error


def _packaged(kernel: AttentionKernel, mask: Mask, x: Tensor) -> FlashAttention | XformersAttention:
    """Load the package of a kernel for slots x [B, L, width] under a mask. Raises ConfigurationError if it cannot."""
    is_causal = mask.kind is MaskKind.CAUSAL
    if kernel is AttentionKernel.XFORMERS:
        bias = None if is_causal and mask.window is None else mask.bias(x).expand(len(x), x.shape[1], -1)
        return XformersAttention.load(bias=bias)
    if mask.window is not None:
        raise ConfigurationError("flash-attn has no mask of a bounded context; leave `attention` at sdpa.")
    return FlashAttention.load(is_causal=is_causal, lengths=mask.lengths)


def _multiply(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Attend by two batched matrix products; see `Attend.__call__` and `Mask.bias` for the shapes."""
    rows, heads, length, size = query.shape
    if key.shape[1] != heads:
        key, value = (x.repeat_interleave(heads // x.shape[1], dim=1) for x in (key, value))
    queries, keys, values = (x.reshape(rows * heads, length, size) for x in (query, key, value))
    if len(bias) == rows:
        bias = bias.repeat_interleave(heads, dim=0)
    scores = torch.baddbmm(bias.to(query.dtype), queries, keys.transpose(1, 2), alpha=size**-0.5)
    return torch.bmm(scores.softmax(-1), values).view(rows, heads, length, size)


@memoized
def _flex(device_type: str) -> Any:
    """Return flex attention, compiled on GPUs only: compilation needs a minute and fuses the kernel."""
    return torch.compile(flex_attention) if device_type == "cuda" else flex_attention
