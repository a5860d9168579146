"""Mamba-2 (Dao and Gu, arXiv 2405.21060): a state space model whose decay depends on the input.

Rows with a full mask are read in both directions with the same decays. Positions are added as sinusoids, because the
slots of a text advance by frames. There is no MLP: a block has about half of the parameters of a transformer's, so a
trunk has two per layer.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from valle.model.attention import Mask
from valle.model.config import ModelConfig
from valle.model.trunks import recurrence
from valle.model.trunks.blocks import Stack, grow, linear, row_lengths
from valle.model.trunks.recurrence import Scan, StateCache
from valle.model.trunks.transformer import sinusoids

# Width inside a block in units of the width.
_EXPAND = 2
# Slots of the convolution.
_WINDOW = 4
# Size of keys and queries.
_STATE = 64


class _Block(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.inner, self.heads = _EXPAND * config.width, _EXPAND * config.heads
        self.norm = nn.RMSNorm(config.width, eps=1e-6)
        self.inputs = linear(config, config.width, 2 * self.inner + 2 * _STATE + self.heads)
        channels = self.inner + 2 * _STATE
        self.convolution = nn.Conv1d(channels, channels, _WINDOW, groups=channels)
        # Steps of 0.001 to 0.1 and rates of 1 to 16, as in the paper's code.
        steps = torch.exp(torch.rand(self.heads) * (math.log(0.1) - math.log(0.001)) + math.log(0.001))
        self.step_bias = nn.Parameter(steps + torch.log(-torch.expm1(-steps)))
        self.log_rate = nn.Parameter(torch.empty(self.heads).uniform_(1, 16).log())
        self.skip = nn.Parameter(torch.ones(self.heads))
        self.output_norm = nn.RMSNorm(self.inner, eps=1e-6)
        self.output = linear(config, self.inner, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Mask, scan: Scan, cache: StateCache | None, layer: int) -> Tensor:
        gate, mixed, steps = self.inputs(self.norm(x)).split((self.inner, self.inner + 2 * _STATE, self.heads), -1)
        kept = None if cache is None else cache.read(layer)
        before = mixed.new_zeros(len(x), _WINDOW - 1, mixed.shape[-1]) if kept is None else kept[1]
        window = torch.cat([before, mixed], 1)
        mixed = functional.silu(self.convolution(window.transpose(1, 2)).transpose(1, 2))
        value, key, query = torch.split(mixed, [self.inner, _STATE, _STATE], -1)
        value = value.reshape(*value.shape[:-1], self.heads, -1).transpose(1, 2)
        query, key = (y[:, None].expand(-1, self.heads, -1, -1) for y in (query, key))
        size = functional.softplus(steps.float() + self.step_bias).transpose(1, 2)  # [B, heads, L]
        log_decay = -size * self.log_rate.exp()[:, None]
        mixed, state = recurrence.advance(
            query,
            key,
            value * size[..., None],
            log_decay,
            mask=mask,
            scan=scan,
            before=None if kept is None else kept[0],
            keeps_state=cache is not None,
        )
        if cache is not None and state is not None:
            cache.write(layer, state, window[:, 1:] if kept is not None else _recent(window, x, mask))
        mixed = mixed + self.skip[:, None, None] * value
        mixed = mixed.transpose(1, 2).flatten(2).to(x.dtype)
        return x + self.dropout(self.output(self.output_norm(mixed * functional.silu(gate))))


def _recent(window: Tensor, x: Tensor, mask: Mask) -> Tensor:
    """Return the last inputs of the convolution of each row; `window` has those before the slots of x in front."""
    last = row_lengths(x, mask)[:, None] + torch.arange(_WINDOW - 1, device=x.device)
    return window.gather(1, last[..., None].expand(-1, -1, window.shape[-1]))


class MambaTrunk(Stack):
    """A stack of Mamba-2 blocks, two for each layer of the configuration."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__([_Block(config) for _ in range(2 * config.depth)])
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
        x = x + sinusoids(positions, x.shape[-1]).to(x.dtype)
        hidden = self.run(x, mask, recurrence.scan_of(self.kernel), cache)
        grow(cache, x, mask)
        return self.norm(hidden)
