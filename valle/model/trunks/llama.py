"""The default trunk: a llama-style stack.

Pre-norm residual blocks with rotary positions (Su et al., arXiv 2104.09864), RMSNorm (Zhang and Sennrich,
arXiv 1910.07467) and a gated MLP (Shazeer, arXiv 2002.05202), without biases.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from valle.model.attention import Attend, AttentionKernel, Mask
from valle.model.cache import Cache
from valle.model.config import ModelConfig


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
        self.heads, self.kv_heads = config.heads, config.num_kv_heads
        self.size = config.width // config.heads
        # Queries of all heads, then keys, then values.
        self.inputs = nn.Linear(config.width, (self.heads + 2 * self.kv_heads) * self.size, bias=False)
        self.output = nn.Linear(config.width, config.width, bias=False)

    def forward(self, x: Tensor, rotation: _Rotation, attend: Attend, layer: int, cache: Cache | None) -> Tensor:
        rows, length, width = x.shape
        projected = self.inputs(x).view(rows, length, -1, self.size).transpose(1, 2)
        query, key, value = projected.split((self.heads, self.kv_heads, self.kv_heads), dim=1)
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

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.inputs(x).chunk(2, dim=-1)
        return self.output(functional.silu(gate) * up)


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
    """Pre-norm transformer with rotary positions and, with fewer `kv_heads`, grouped queries; see `Trunk`."""

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

    def new_cache(self, capacity: int) -> Cache:
        """See `Trunk`."""
        return Cache(len(self.blocks), capacity)

    def forward(
        self, x: Tensor, mask: Mask, positions: Tensor, cache: Cache | None = None, codebooks: Tensor | None = None
    ) -> Tensor:
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
