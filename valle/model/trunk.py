"""The transformer between embeddings and heads: its protocol, and the default llama-style stack.

Pre-norm residual blocks with rotary positions (Su et al., arXiv 2104.09864), RMSNorm (Zhang and Sennrich,
arXiv 1910.07467) and a gated MLP (Shazeer, arXiv 2002.05202), without biases.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from valle.model.attention import Attend, AttentionKernel, Mask
from valle.model.cache import Cache
from valle.model.config import ModelConfig


class Trunk(Protocol):
    """Map vectors to hidden states, both [B, L, width]; positions are [B, L].

    A causal call fills an empty cache; with a filled cache L is 1 and each row continues at its end.
    """

    def __call__(self, x: Tensor, mask: Mask, positions: Tensor, cache: Cache | None) -> Tensor:
        """Compute the normalised hidden states of x."""


@dataclass(frozen=True, slots=True)
class _Rotation:
    cosine: Tensor  # [B, 1, L, size / 2]
    sine: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Rotate the pairs (i, i + size / 2) of x [B, heads, L, size] by their positions."""
        first, second = x.chunk(2, dim=-1)
        rotated = (first * self.cosine - second * self.sine, second * self.cosine + first * self.sine)
        return torch.cat(rotated, dim=-1).to(x.dtype)


class _Attention(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.inputs = nn.Linear(config.width, 3 * config.width, bias=False)
        self.output = nn.Linear(config.width, config.width, bias=False)

    def forward(self, x: Tensor, rotation: _Rotation, attend: Attend, layer: int, cache: Cache | None) -> Tensor:
        rows, length, width = x.shape
        query, key, value = self.inputs(x).view(rows, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        query, key = rotation(query), rotation(key)
        if cache is not None and cache.is_empty:
            cache.fill(layer, key, value)
        elif cache is not None:
            key, value = cache.append(layer, key, value)
        return self.output(attend(query, key, value).transpose(1, 2).reshape(rows, length, width))


class _GatedMlp(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.inputs = nn.Linear(config.width, 2 * config.feed_forward, bias=False)
        self.output = nn.Linear(config.feed_forward, config.width, bias=False)
        self.activate = functional.gelu if config.activation == "gelu" else functional.silu

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.inputs(x).chunk(2, dim=-1)
        return self.output(self.activate(gate) * up)


class _Block(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.width, eps=1e-6)
        self.attention = _Attention(config)
        self.mlp_norm = nn.RMSNorm(config.width, eps=1e-6)
        self.mlp = _GatedMlp(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, rotation: _Rotation, attend: Attend, layer: int, cache: Cache | None) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), rotation, attend, layer, cache))
        return x + self.dropout(self.mlp(self.mlp_norm(x)))


class LlamaTrunk(nn.Module):
    """Pre-norm transformer with rotary positions; see `Trunk`."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        size = config.width // config.heads
        assert size * config.heads == config.width, "heads must divide width"
        assert size % 2 == 0, "the size of a head must be even"
        self.rope_base = config.rope_base
        self.gradient_checkpointing = False
        self.kernel = AttentionKernel.SDPA
        self.head_size = size
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.depth))
        self.norm = nn.RMSNorm(config.width, eps=1e-6)
        for name, parameter in self.named_parameters():
            if name.endswith("output.weight"):  # keeps the variance of the residual stream independent of depth
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * config.depth))
            elif parameter.dim() == 2:
                nn.init.normal_(parameter, std=1 / math.sqrt(config.width))

    def forward(self, x: Tensor, mask: Mask, positions: Tensor, cache: Cache | None = None) -> Tensor:
        """Compute the hidden states of x; see `Trunk`."""
        if cache is not None and not cache.is_empty:
            attend = Attend(columns=cache.step_mask())
        else:
            attend = Attend.by(self.kernel, mask, x)
        rotation = self._rotation(positions)
        for layer, block in enumerate(self.blocks):
            if self.gradient_checkpointing and self.training:
                x = checkpoint(block, x, rotation, attend, layer, cache, use_reentrant=False)
            else:
                x = block(x, rotation, attend, layer, cache)
        if cache is not None:
            cache.grow(self._grown(x, mask, cache))
        return self.norm(x)

    def _grown(self, x: Tensor, mask: Mask, cache: Cache) -> Tensor:
        if cache.lengths is not None:
            return cache.lengths + 1
        if mask.lengths is not None:
            return mask.lengths
        return torch.full((x.shape[0],), x.shape[1], device=x.device)

    def _rotation(self, positions: Tensor) -> _Rotation:
        exponents = torch.arange(0, self.head_size, 2, device=positions.device, dtype=torch.float32) / self.head_size
        angles = positions[:, None, :, None].float() * self.rope_base**-exponents
        return _Rotation(angles.cos(), angles.sin())
