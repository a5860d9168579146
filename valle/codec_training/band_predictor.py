"""Levels of bands read off the latents: what a decoder begins with, before any waveform is made.

A step costs half of one through waveforms. The states that are read are the decoder's, so the filters begin where the
levels end.
"""

import math

import torch
from torch import Tensor, nn

from valle.codec.mini.decoder import SourceFilterDecoder
from valle.codec.mini.mels import LogMel
from valle.codec.mini.network import MiniConfig

_HEARD = 6.0
"""Nats below the loudest band of a crop down to which everything counts in full."""
_FADING = 4.0
"""Nats from there to where a band counts least."""
_LEAST = 0.25
_EQUAL_PARTS = math.log(2) / 2
"""What pulses and noise of equal power lack each of their sum."""


class LevelReader(nn.Module):
    """Levels [B, T, levels] of the states [B, T, dim + D] of a decoder."""

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        self.to_levels = nn.Linear(config.dim + config.latent_dim, config.build_features().num_levels)

    def forward(self, decoder: SourceFilterDecoder, latents: Tensor) -> Tensor:
        """What `decoder` makes of latents [B, T, D], as levels."""
        levels: Tensor = self.to_levels(decoder.states(latents))
        return levels

    @torch.no_grad()
    def begin(self, basis: Tensor, mean: Tensor) -> None:
        """Read components on `basis` [D, levels] about their `mean` [levels], and nothing off the backbone yet."""
        self.to_levels.weight.zero_()
        self.to_levels.weight[:, -len(basis) :] = basis.T
        self.to_levels.bias.copy_(mean)

    @torch.no_grad()
    def begin_filters(self, decoder: SourceFilterDecoder, log_mel: LogMel) -> None:
        """Let pulses and noise begin as loud as the levels say, half of the power each.

        Phase and gains begin with nothing learned. The level of a bin is interpolated between the bands it lies in.
        """
        num_bins, num_bands = decoder.harmonics.out_features, log_mel.filters.shape[1]
        wide = LogMel(num_bins=num_bins, num_mels=num_bands, sample_rate=decoder.sample_rate)
        widths = log_mel.filters.sum(0).clamp(min=0.5)
        # The short frames of a hop on average; in the longer windows of the decoder noise is louder by their root.
        longer = (num_bins - 1) / (len(log_mel.filters) - 1)
        weight = wide.between @ self.to_levels.weight.view(-1, num_bands, self.to_levels.in_features).mean(0)
        level = self.to_levels.bias.view(-1, num_bands).mean(0)
        bias = wide.to_bins(level - widths.log()) + math.log(longer) / 2 - _EQUAL_PARTS
        for head in (decoder.harmonics, decoder.noise):
            head.weight.copy_(weight)
            head.bias.copy_(bias)
        # Whatever they knew, they knew of another backbone.
        for head in (decoder.phase, decoder.gains, decoder.level_offsets):
            head.weight.zero_()
            head.bias.zero_()


def level_loss(read: Tensor, wanted: Tensor) -> Tensor:
    """L1 of levels [B, T, levels]; what is far below the loudest of its crop counts less."""
    depth = wanted.amax((1, 2), keepdim=True) - wanted
    weights = (1 - (depth - _HEARD) / _FADING).clamp(_LEAST, 1)
    return (weights * (read - wanted).abs()).mean()
