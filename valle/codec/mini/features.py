"""Features that `mini` encodes: wide bands at short windows, and narrow low bands at long windows for the pitch.

A window of 1,280 samples resolves harmonics but smears a burst over four frames; one of 640 does neither. No decoder
restores a smeared burst, so most bits describe short windows.
"""

import torch
from torch import Tensor, nn

from valle.codec.mini.fourier import ShortTimeFourier
from valle.codec.mini.mels import LogMel

# The revision of stored codes does not cover these two: after a change, quantize every corpus again.
# Mel bands of the long windows; only the lowest are features.
_PITCH_MELS = 100
# Weight of an error in a pitch band relative to one in a wide band.
_PITCH_WEIGHT = 0.5


class SpeechFeatures(nn.Module):
    """Compute features [B, T, wide + pitch bands] of waveforms [B, T * hop].

    The wide bands come first: the log-mels of the `frames_per_hop` short frames that fill a hop, one after the other.
    The weighted pitch bands follow.
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
    def num_band_energies(self) -> int:
        """Return the number of wide-band energies of a frame."""
        return self.frames_per_hop * self.num_bands

    @property
    def size(self) -> int:
        """Return the number of features of a frame."""
        return self.num_band_energies + self.pitch_bands

    def forward(self, waveforms: Tensor) -> Tensor:
        """Return features [B, T, size] of waveforms [B, T * hop]."""
        low = self._long_log_mel(self._long_fourier(waveforms))[..., : self.pitch_bands]
        return torch.cat((self.band_energies(waveforms), _PITCH_WEIGHT * low), 2)

    def band_energies(self, waveforms: Tensor) -> Tensor:
        """Return only the wide-band energies [B, T, num_band_energies] of waveforms [B, T * hop]."""
        mels: Tensor = self.log_mel(self.fourier(waveforms))
        return mels.reshape(len(mels), -1, self.num_band_energies)
