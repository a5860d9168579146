"""What `mini` sees of speech: levels of wide bands at short windows for sounds, and of narrow low ones for the pitch.

A window of 1,280 samples tells harmonics apart and smears a burst over four frames; one of 640 does neither. What was
smeared no decoder brings back, so most of the bits go to short windows.
"""

import torch
from torch import Tensor, nn

from valle.codec.mini.fourier import ShortTimeFourier
from valle.codec.mini.mels import LogMel

# The revision of stored codes does not cover these two: another value needs codes computed anew.
_PITCH_MELS = 100
"""Bands of the long windows, of which the lowest are seen."""
_PITCH_WEIGHT = 0.5
"""How much an error of those counts, against one of the wide bands."""


class SpeechFeatures(nn.Module):
    """Waveforms [B, T * hop] to features [B, T, wide + pitch bands].

    First the levels: log-mels of `frames_per_hop` short frames, which have to fill a hop, one after the other. Then
    the weighted low bands.
    """

    def __init__(
        self,
        *,
        sample_rate: int,
        hop: int,
        window: int,
        short_window: int,
        frames_per_hop: int,
        num_bands: int,
        pitch_bands: int,
    ) -> None:
        super().__init__()
        assert hop % frames_per_hop == 0, "short frames must fill a hop"
        self.hop, self.frames_per_hop, self.num_bands, self.pitch_bands = hop, frames_per_hop, num_bands, pitch_bands
        self.fourier = ShortTimeFourier(short_window, hop // frames_per_hop)
        self.log_mel = LogMel(num_bins=short_window // 2 + 1, num_mels=num_bands, sample_rate=sample_rate)
        self._long_fourier = ShortTimeFourier(window, hop)
        self._long_log_mel = LogMel(num_bins=window // 2 + 1, num_mels=_PITCH_MELS, sample_rate=sample_rate)

    @property
    def num_levels(self) -> int:
        """Levels of wide bands in a frame."""
        return self.frames_per_hop * self.num_bands

    @property
    def size(self) -> int:
        """Features of a frame."""
        return self.num_levels + self.pitch_bands

    def forward(self, waveforms: Tensor) -> Tensor:
        """The features [B, T, size] of waveforms [B, T * hop]."""
        low = self._long_log_mel(self._long_fourier(waveforms))[..., : self.pitch_bands]
        return torch.cat((self.levels(waveforms), _PITCH_WEIGHT * low), 2)

    def levels(self, waveforms: Tensor) -> Tensor:
        """The levels [B, T, num_levels] of waveforms [B, T * hop] alone."""
        mels: Tensor = self.log_mel(self.fourier(waveforms))
        return mels.reshape(len(mels), -1, self.num_levels)
