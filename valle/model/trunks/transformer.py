"""The classic transformer of the original VALL-E (Wang et al., arXiv 2301.02111).

Sinusoidal positions (Vaswani et al., arXiv 1706.03762), LayerNorm and a GELU MLP with biases. Scale and shift of every
norm are functions of the codebook that a row predicts, as in section 4.2.2 of the first paper.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from valle.model.attention import Attend, Mask
from valle.model.config import ModelConfig
from valle.model.trunks.blocks import Attention, Stack, attend_with, grow, linear, unrotated
from valle.model.trunks.cache import Cache

_LONGEST = 10_000.0


def sinusoids(positions: Tensor, width: int) -> Tensor:
    """Return the encoding [B, L, width] of positions [B, L]: sines, then cosines, of falling frequencies."""
    exponents = torch.arange(0, width, 2, device=positions.device, dtype=torch.float32) / width
    angles = positions[..., None].float() * _LONGEST**-exponents
    return torch.cat([angles.sin(), angles.cos()], -1)[..., :width]


class _AdaptiveNorm(nn.Module):
    """LayerNorm whose scale and shift are linear in the embedding of a stage, [B, 1, width]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.affine = nn.Linear(width, 2 * width)
        # At first a plain norm: a scale of 1 and no shift.
        nn.init.zeros_(self.affine.weight)
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, stage: Tensor) -> Tensor:
        scale, shift = self.affine(stage).chunk(2, dim=-1)
        return (1 + scale) * functional.layer_norm(x, (self.width,)) + shift


class _Block(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = _AdaptiveNorm(config.width)
        self.attention = Attention(config, bias=True)
        self.mlp_norm = _AdaptiveNorm(config.width)
        self.inputs = linear(config, config.width, config.feed_forward, bias=True)
        self.output = linear(config, config.feed_forward, config.width, bias=True)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, stage: Tensor, attend: Attend, cache: Cache | None, layer: int) -> Tensor:
        normed = self.attention_norm(x, stage)
        x = x + self.dropout(self.attention(normed, unrotated, attend, layer, cache))
        return x + self.dropout(self.output(functional.gelu(self.inputs(self.mlp_norm(x, stage)))))


class TransformerTrunk(Stack):
    """Pre-norm transformer with sinusoidal positions and norms that adapt to the codebook."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__([_Block(config) for _ in range(config.depth)])
        self.stages = nn.Embedding(config.num_codebooks, config.width)
        self.norm = _AdaptiveNorm(config.width)
        self.init_weights(config)

    def new_cache(self, capacity: int) -> Cache:
        """See `Stack`."""
        return Cache(len(self.blocks), capacity)

    def forward(
        self, x: Tensor, mask: Mask, positions: Tensor, cache: Cache | None = None, codebooks: Tensor | None = None
    ) -> Tensor:
        """Compute the hidden states of x; see `Stack`."""
        assert codebooks is not None, "the norms depend on the codebook"
        stage = self.stages(codebooks)[:, None]
        attend = attend_with(self.kernel, mask, x, cache)
        hidden = self.run(x + sinusoids(positions, x.shape[-1]).to(x.dtype), stage, attend, cache)
        grow(cache, x, mask)
        return self.norm(hidden, stage)
