"""A retentive network (Sun et al., arXiv 2307.08621): decoding needs a state of constant size instead of a cache.

Rows with a full mask decay alike in both directions. The normalisation of the paper's parallel form is left out: the
norm of each head undoes it, and without it the three forms are equal. With `experts` the MLP is a mixture of experts.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from valle.model.attention import Mask
from valle.model.config import ModelConfig
from valle.model.trunks import recurrence
from valle.model.trunks.blocks import Rotation, Stack, grow, linear, make_mlp
from valle.model.trunks.recurrence import Scan, StateCache

# Size of values in units of the size of keys.
_VALUE_FACTOR = 2


class _Retention(nn.Module):
    log_decay: Tensor  # [1, heads, 1]

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads, self.size = config.heads, config.width // config.heads
        self.values = _VALUE_FACTOR * config.width
        self.inputs = linear(config, config.width, 2 * config.width + 2 * self.values)
        self.norm = nn.RMSNorm(self.values // config.heads, eps=1e-6, elementwise_affine=False)
        self.output = linear(config, self.values, config.width)
        decays = 1 - 2.0 ** -(5 + torch.arange(config.heads, dtype=torch.float32))
        self.register_buffer("log_decay", decays.log()[None, :, None], persistent=False)

    def forward(
        self, x: Tensor, rotation: Rotation, mask: Mask, scan: Scan, cache: StateCache | None, layer: int
    ) -> Tensor:
        rows, length, width = x.shape
        query, key, value, gate = self.inputs(x).split((width, width, self.values, self.values), dim=-1)
        query, key, value = (y.view(rows, length, self.heads, -1).transpose(1, 2) for y in (query, key, value))
        query, key = rotation(query), rotation(key) * self.size**-0.5
        decay = self.log_decay.expand(1, self.heads, length)
        kept = None if cache is None else cache.read(layer)
        before = None if kept is None else kept[0]
        retained, state = recurrence.advance(
            query, key, value, decay, mask=mask, scan=scan, before=before, keeps_state=cache is not None
        )
        if cache is not None and state is not None:
            cache.write(layer, state)
        retained = self.norm(retained).transpose(1, 2).reshape(rows, length, -1).to(x.dtype)
        return self.output(functional.silu(gate) * retained)


class _Block(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.retention_norm = nn.RMSNorm(config.width, eps=1e-6)
        self.retention = _Retention(config)
        self.mlp_norm = nn.RMSNorm(config.width, eps=1e-6)
        self.mlp = make_mlp(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: Tensor, rotation: Rotation, mask: Mask, scan: Scan, cache: StateCache | None, layer: int
    ) -> Tensor:
        x = x + self.dropout(self.retention(self.retention_norm(x), rotation, mask, scan, cache, layer))
        return x + self.dropout(self.mlp(self.mlp_norm(x), mask))


class RetNetTrunk(Stack):
    """A retentive network."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__([_Block(config) for _ in range(config.depth)])
        self.head_size, self.rope_base = config.width // config.heads, config.rope_base
        self.norm = nn.RMSNorm(config.width, eps=1e-6)
        self.init_weights(config)

    def new_cache(self, capacity: int) -> StateCache:
        """See `Stack`; the state of a row has the same size at every length."""
        return StateCache(len(self.blocks))

    def forward(
        self,
        x: Tensor,
        mask: Mask,
        positions: Tensor,
        cache: StateCache | None = None,
        codebooks: Tensor | None = None,
    ) -> Tensor:
        """Compute the hidden states of x; see `Stack`."""
        hidden = self.run(
            x, Rotation.at(positions, self.head_size, self.rope_base), mask, recurrence.scan_of(self.kernel), cache
        )
        grow(cache, x, mask)
        return self.norm(hidden)
