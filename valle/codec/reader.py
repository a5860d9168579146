"""Log-mels read off the latents: what encoder and codebooks are learned by, before any waveform is made.

Most words that `mini` loses are lost in its codes (docs/codec.md), and through a waveform an encoder learns slowly: a
step costs twice as much, and most of what it is told of is the decoder's own. The backbone that reads is the decoder's,
so the filters begin where the log-mels end.
"""

import math

import torch
from torch import Tensor, nn

from valle.codec.decoder import SourceFilterDecoder
from valle.codec.network import MiniConfig

_HEARD = 6.0
"""Nats below the loudest band of a crop down to which everything counts in full."""
_FADING = 4.0
"""Nats from there to where a band counts least."""
_LEAST = 0.25
_EQUAL_PARTS = math.log(2) / 2
"""What pulses and noise of equal power lack each of their sum."""


class LogMelReader(nn.Module):
    """Log-mels [B, mels, T] of the hidden states [B, T, dim] of a decoder's backbone."""

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        self.to_mels = nn.Linear(config.dim, config.num_mels)

    def forward(self, decoder: SourceFilterDecoder, latents: Tensor) -> Tensor:
        """What the backbone of `decoder` says of latents [B, T, D]."""
        mels: Tensor = self.to_mels(decoder.backbone(latents.transpose(1, 2)))
        return mels.transpose(1, 2)

    @torch.no_grad()
    def begin_filters(self, decoder: SourceFilterDecoder, mel_filters: Tensor) -> None:
        """Let pulses and noise begin as loud as the log-mels say, half of the power each.

        Phase and gains begin with nothing learned. `mel_filters` [bins, mels] are those of the log-mels; the level of a
        bin is interpolated between the bands it lies in.
        """
        widths = mel_filters.sum(0).clamp(min=0.5)
        # The first and the last bin lie in no band: they are as loud as their neighbours.
        reached = torch.cat((mel_filters[1:2], mel_filters[1:-1], mel_filters[-2:-1]))
        between = reached / reached.sum(1, keepdim=True).clamp(min=1e-6)
        weight = between @ self.to_mels.weight
        bias = between @ (self.to_mels.bias - widths.log()) - _EQUAL_PARTS
        for head in (decoder.harmonics, decoder.noise):
            head.weight.copy_(weight)
            head.bias.copy_(bias)
        # Whatever they knew, they knew of another backbone.
        for head in (decoder.phase, decoder.gains):
            head.weight.zero_()
            head.bias.zero_()


def log_mel_loss(read: Tensor, wanted: Tensor) -> Tensor:
    """L1 of log-mels [B, mels, T]; what is far below the loudest of its crop counts less."""
    depth = wanted.amax((1, 2), keepdim=True) - wanted
    weights = (1 - (depth - _HEARD) / _FADING).clamp(_LEAST, 1)
    return (weights * (read - wanted).abs()).mean()
