"""Log-mels read off the latents: what a decoder begins with, before any waveform is made.

A step costs half of one through waveforms. The states that are read are the decoder's, so the filters begin where the
log-mels end.
"""

import math

import torch
from torch import Tensor, nn

from valle.codec.decoder import SourceFilterDecoder
from valle.codec.mels import LogMel
from valle.codec.network import MiniConfig

_HEARD = 6.0
"""Nats below the loudest band of a crop down to which everything counts in full."""
_FADING = 4.0
"""Nats from there to where a band counts least."""
_LEAST = 0.25
_EQUAL_PARTS = math.log(2) / 2
"""What pulses and noise of equal power lack each of their sum."""


class LogMelReader(nn.Module):
    """Log-mels [B, T, mels] of the states [B, T, dim + D] of a decoder."""

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        self.to_mels = nn.Linear(config.dim + config.latent_dim, config.num_mels)

    def forward(self, decoder: SourceFilterDecoder, latents: Tensor) -> Tensor:
        """What `decoder` makes of latents [B, T, D], as log-mels."""
        mels: Tensor = self.to_mels(decoder.states(latents))
        return mels

    @torch.no_grad()
    def begin(self, basis: Tensor, mean: Tensor) -> None:
        """Read components on `basis` [D, mels] about their `mean` [mels]; what the backbone says counts nothing yet."""
        self.to_mels.weight.zero_()
        self.to_mels.weight[:, -len(basis) :] = basis.T
        self.to_mels.bias.copy_(mean)

    @torch.no_grad()
    def begin_filters(self, decoder: SourceFilterDecoder, log_mel: LogMel) -> None:
        """Let pulses and noise begin as loud as the log-mels say, half of the power each.

        Phase and gains begin with nothing learned. The level of a bin is interpolated between the bands it lies in.
        """
        widths = log_mel.filters.sum(0).clamp(min=0.5)
        weight = log_mel.between @ self.to_mels.weight
        bias = log_mel.to_bins(self.to_mels.bias - widths.log()) - _EQUAL_PARTS
        for head in (decoder.harmonics, decoder.noise):
            head.weight.copy_(weight)
            head.bias.copy_(bias)
        # Whatever they knew, they knew of another backbone.
        for head in (decoder.phase, decoder.gains):
            head.weight.zero_()
            head.bias.zero_()


def log_mel_loss(read: Tensor, wanted: Tensor) -> Tensor:
    """L1 of log-mels [B, T, mels]; what is far below the loudest of its crop counts less."""
    depth = wanted.amax((1, 2), keepdim=True) - wanted
    weights = (1 - (depth - _HEARD) / _FADING).clamp(_LEAST, 1)
    return (weights * (read - wanted).abs()).mean()
