"""Attention by packages that are no dependencies: flash-attn, xformers, and flash-linear-attention for recurrences.

All are for GPUs and have not been run on one by this project: tests compare how they are called, and with what masks,
and the packages themselves where there are a GPU and the package.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from warehouse.errors import ConfigurationError

# The rows of a bias in memory begin at multiples of it.
_ALIGNMENT = 8


def _load(module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigurationError(
            f"Attention by {package} needs the package {package}; install it, or leave `attention` at sdpa."
        ) from error


@dataclass(frozen=True, slots=True)
class FlashAttention:
    """Attention of flash-attn 2, whose heads may be grouped; rows of a full mask are packed without their padding."""

    module: Any
    is_causal: bool
    lengths: Tensor | None

    @classmethod
    def load(cls, *, is_causal: bool, lengths: Tensor | None) -> FlashAttention:
        """Load the package, for rows of `lengths` [B], None without padding. Raises ConfigurationError without it."""
        return cls(_load("flash_attn", "flash-attn"), is_causal, lengths)

    def __call__(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend with queries, keys and values [B, heads, L, size]."""
        query, key, value = (x.transpose(1, 2) for x in (query, key, value))
        # Right padding is after every valid slot, so a causal mask already hides it.
        if self.is_causal or self.lengths is None:
            attended: Tensor = self.module.flash_attn_func(query, key, value, causal=self.is_causal)
            return attended.transpose(1, 2)
        valid = torch.arange(query.shape[1], device=query.device) < self.lengths[:, None]
        ends = functional.pad(self.lengths.cumsum(0), (1, 0)).int()
        longest = int(self.lengths.max())
        packed = (x[valid] for x in (query, key, value))
        attended = torch.zeros_like(query)
        attended[valid] = self.module.flash_attn_varlen_func(*packed, ends, ends, longest, longest, causal=False)
        return attended.transpose(1, 2)


@dataclass(frozen=True, slots=True)
class XformersAttention:
    """Memory-efficient attention of xformers, with a bias of all scores where a mask is not plainly causal."""

    module: Any
    bias: Tensor | None  # [B, 1, L, L]; None for causal rows

    @classmethod
    def load(cls, *, bias: Tensor | None) -> XformersAttention:
        """Load the package, for scores with a bias [B, L, L], None if causal. Raises ConfigurationError without it."""
        module = _load("xformers.ops", "xformers")
        if bias is None:
            return cls(module, None)
        rows, length, _ = bias.shape
        room = bias.new_zeros(rows, 1, length, -(-length // _ALIGNMENT) * _ALIGNMENT)
        room[..., :length] = bias[:, None]
        return cls(module, room[..., :length])

    def __call__(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend with queries, keys and values [B, heads, L, size]."""
        heads = query.shape[1]
        if key.shape[1] != heads:
            key, value = (x.repeat_interleave(heads // x.shape[1], dim=1) for x in (key, value))
        if self.bias is None:
            bias = self.module.LowerTriangularMask()
        else:
            bias = self.bias.to(query.dtype).expand(-1, heads, -1, -1)
        attended: Tensor = self.module.memory_efficient_attention(
            *(x.transpose(1, 2) for x in (query, key, value)), attn_bias=bias
        )
        return attended.transpose(1, 2)


def linear_attention_scan(query: Tensor, key: Tensor, value: Tensor, log_decay: Tensor) -> Tensor:
    """Compute a causal recurrence as `recurrence.plain_scan` does, by the kernel of flash-linear-attention.

    Raises ConfigurationError without the package.
    """
    package = "flash-linear-attention"
    kernel = _load("fla.ops.simple_gla", package).chunk_simple_gla
    query, key, value, log_decay = (x.float() for x in (query, key, value, log_decay))
    decays = log_decay.expand(len(query), -1, -1).transpose(1, 2).contiguous()
    slots = (x.transpose(1, 2).contiguous() for x in (query, key, value))
    # Queries or keys are scaled by the trunk; the default of the kernel would scale them again.
    outputs, _ = kernel(*slots, g=decays, scale=1.0)
    transposed: Tensor = outputs.transpose(1, 2)
    return transposed
