"""Parts of several trunks: linear layers, attention, gated MLPs, and the stack that applies blocks in order."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from valle.model.attention import Attend, AttentionKernel, Mask
from valle.model.config import ModelConfig
from valle.model.trunks.base import DecodingCache
from valle.model.trunks.bit_linear import BitLinear
from valle.model.trunks.cache import Cache
from valle.model.trunks.cpu.few_rows import FewRowsLinear
from valle.model.trunks.experts import ExpertsMlp, RouterReport, mean_report

Rotate = Callable[[Tensor], Tensor]
"""Rotates queries or keys [B, heads, L, size] by their positions."""


def linear(config: ModelConfig, inputs: int, outputs: int, *, bias: bool = False) -> nn.Linear:
    """Make the linear layer of a trunk: ternary in `bitnet`, plain elsewhere."""
    return (BitLinear if config.trunk == "bitnet" else FewRowsLinear)(inputs, outputs, bias=bias)


def unrotated(x: Tensor) -> Tensor:
    """Return x, for trunks whose positions are not rotations."""
    return x


def frequencies(size: int, base: float, device: torch.device | None = None) -> Tensor:
    """Return the angles [size / 2] by which the pairs of a head turn from one position to the next."""
    return base ** -(torch.arange(0, size, 2, device=device, dtype=torch.float32) / size)


@dataclass(frozen=True, slots=True)
class Rotation:
    """Rotary positions (Su et al., arXiv 2104.09864)."""

    cosine: Tensor  # [B, 1, L, size / 2]
    sine: Tensor

    @classmethod
    def at(cls, positions: Tensor, size: int, base: float) -> "Rotation":
        """Prepare the rotation of heads of `size` by positions [B, L]."""
        angles = positions[:, None, :, None].float() * frequencies(size, base, positions.device)
        return cls(angles.cos(), angles.sin())

    def __call__(self, x: Tensor) -> Tensor:
        """Rotate the pairs (i, i + size / 2) of x [B, heads, L, size] by their positions."""
        first, second = x.chunk(2, dim=-1)
        rotated = (first * self.cosine - second * self.sine, second * self.cosine + first * self.sine)
        return torch.cat(rotated, dim=-1).to(x.dtype)


class Attention(nn.Module):
    """Attention with as many heads of keys and values as the configuration has."""

    def __init__(self, config: ModelConfig, *, bias: bool = False) -> None:
        super().__init__()
        self.heads, self.kv_heads = config.heads, config.num_kv_heads
        self.size = config.width // config.heads
        assert self.size * config.heads == config.width, "heads must divide width"
        assert config.heads % self.kv_heads == 0, "kv_heads must divide heads"
        # Queries of all heads, then keys, then values.
        self.inputs = linear(config, config.width, (self.heads + 2 * self.kv_heads) * self.size, bias=bias)
        self.output = linear(config, config.width, config.width, bias=bias)

    def forward(self, x: Tensor, rotate: Rotate, attend: Attend, layer: int, cache: Cache | None) -> Tensor:
        """Attend among the slots of x [B, L, width] and those of the cache."""
        rows, length, width = x.shape
        projected = self.inputs(x).view(rows, length, -1, self.size).transpose(1, 2)
        query, key, value = projected.split((self.heads, self.kv_heads, self.kv_heads), dim=1)
        query, key = rotate(query), rotate(key)
        if cache is not None and cache.is_empty:
            cache.fill(layer, key, value)
        elif cache is not None:
            key, value = cache.append(layer, key, value)
        return self.output(attend(query, key, value).transpose(1, 2).reshape(rows, length, width))


class GatedMlp(nn.Module):
    """A gated MLP (Shazeer, arXiv 2002.05202)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.inputs = linear(config, config.width, 2 * config.feed_forward)
        self.output = linear(config, config.feed_forward, config.width)
        self.activate = functional.gelu if config.activation == "gelu" else functional.silu

    def forward(self, x: Tensor, mask: Mask) -> Tensor:
        """Compute the MLP of x [B, L, width]."""
        gate, up = self.inputs(x).chunk(2, dim=-1)
        return self.output(self.activate(gate) * up)


def make_mlp(config: ModelConfig) -> nn.Module:
    """Make the MLP of a block: a gated one, or a mixture of experts."""
    return ExpertsMlp(config) if config.experts else GatedMlp(config)


class Stack(nn.Module):
    """A trunk: blocks in order, with gradient checkpointing, and the reports of their routers.

    `forward(x, mask, positions, cache, codebooks)` computes normalised hidden states [B, L, width] of x at `positions`
    [B, L], of rows that predict `codebooks` [B]. A causal call fills an empty cache; with a filled cache the L slots
    continue each row at its end, one at a time in a recurrent trunk. `kernel` and `gradient_checkpointing` change how a
    trunk computes, not what.
    """

    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.gradient_checkpointing = False
        self.kernel = AttentionKernel.SDPA
        self.blocks = nn.ModuleList(blocks)

    def new_cache(self, capacity: int) -> DecodingCache:
        """Return an empty cache with room for `capacity` slots; more are added on demand."""
        raise NotImplementedError

    def init_weights(self, config: ModelConfig) -> None:
        """Draw the initial weights of linear layers and experts; the other parameters keep theirs."""
        for name, parameter in self.named_parameters():
            if name.endswith(
                ("output.weight", "outputs")
            ):  # keeps the variance of the residual stream independent of depth
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * config.depth))
            elif parameter.dim() in (2, 3) and not any(part in name for part in ("norm", "convolution", "stage")):
                nn.init.normal_(parameter, std=1 / math.sqrt(config.width))

    def run(self, x: Tensor, *context: Any) -> Tensor:
        """Apply the blocks to x [B, L, width]; each is called with x, `context` and its number."""
        for layer, block in enumerate(self.blocks):
            if self.gradient_checkpointing and self.training:
                x = checkpoint(block, x, *context, layer, use_reentrant=False)
            else:
                x = block(x, *context, layer)
        return x

    def router_report(self) -> RouterReport | None:
        """Return the mean over the routers of the last forward; None for a trunk without experts."""
        return mean_report([module.report for module in self.modules() if isinstance(module, ExpertsMlp)])


def attend_with(kernel: AttentionKernel, mask: Mask, x: Tensor, cache: Cache | None) -> Attend:
    """Prepare the attention of one pass: over x [B, L, width], or of its new slots over a filled cache."""
    if cache is not None and not cache.is_empty:
        return Attend(columns=cache.step_mask(x.shape[1]))
    if cache is not None:
        cache.begin(mask, x)
    return Attend.by(kernel, mask, x)


def row_lengths(x: Tensor, mask: Mask) -> Tensor:
    """Return the valid slots of each row [B] of x [B, L, width]."""
    return mask.row_lengths(x.shape[0], x.shape[1], x.device)


def grow(cache: DecodingCache | None, x: Tensor, mask: Mask) -> None:
    """Count the slots that a pass has written."""
    if cache is not None:
        cache.grow(row_lengths(x, mask) if cache.lengths is None else cache.lengths + x.shape[1])
