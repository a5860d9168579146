"""The default trunk: a llama-style stack.

Pre-norm residual blocks with rotary positions, RMSNorm (Zhang and Sennrich, arXiv 1910.07467) and a gated MLP, without
biases. With experts in place of the MLP it is `mixtral`, with ternary linear layers `bitnet`.
"""

from torch import Tensor, nn

from valle.model.attention import Attend, Mask
from valle.model.config import ModelConfig
from valle.model.trunks.blocks import Attention, Rotation, Stack, attend_with, frequencies, grow, make_mlp
from valle.model.trunks.cache import Cache
from valle.model.trunks.cpu.lean_step import LeanStep, can_step, make_step


class _Block(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.width, eps=1e-6)
        self.attention = Attention(config)
        self.mlp_norm = nn.RMSNorm(config.width, eps=1e-6)
        self.mlp = make_mlp(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: Tensor, rotation: Rotation, attend: Attend, mask: Mask, cache: Cache | None, layer: int
    ) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), rotation, attend, layer, cache))
        return x + self.dropout(self.mlp(self.mlp_norm(x), mask))


class LlamaCache(Cache):
    """Keys and values, and the lean step that continues the rows."""

    def __init__(self, depth: int, capacity: int = 0) -> None:
        super().__init__(depth, capacity)
        self.step: LeanStep | None = None
        """Made once for all slots of the rows; None where the modules of the trunk compute them."""


class LlamaTrunk(Stack):
    """Pre-norm transformer with rotary positions and, with fewer `kv_heads`, grouped queries."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__([_Block(config) for _ in range(config.depth)])
        self.head_size = config.width // config.heads
        assert self.head_size % 2 == 0, "the size of a head must be even"
        self.rope_base = config.rope_base
        self.norm = nn.RMSNorm(config.width, eps=1e-6)
        self.init_weights(config)

    def new_cache(self, capacity: int) -> LlamaCache:
        """See `Stack`."""
        return LlamaCache(len(self.blocks), capacity)

    def forward(
        self, x: Tensor, mask: Mask, positions: Tensor, cache: LlamaCache | None = None, codebooks: Tensor | None = None
    ) -> Tensor:
        """Compute the hidden states of x; see `Stack`."""
        attend = attend_with(self.kernel, mask, x, cache)
        if cache is not None and (step := self._lean_step(x, cache)) is not None:
            return step(x, positions, attend.columns, cache)
        rotation = Rotation.at(positions, self.head_size, self.rope_base)
        hidden = self.run(x, rotation, attend, mask, cache)
        grow(cache, x, mask)
        return self.norm(hidden)

    def _lean_step(self, x: Tensor, cache: LlamaCache) -> LeanStep | None:
        """Return what computes x faster than the modules; None where they have to."""
        if cache.is_empty or not can_step(x):
            return None
        if cache.step is None:
            cache.step = make_step(self, self.blocks, self.norm, frequencies(self.head_size, self.rope_base))
        return cache.step
