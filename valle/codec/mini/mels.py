"""Log-mel magnitudes, and their interpolation to the bins of a spectrum."""

import torch
from torch import Tensor, nn
from torchaudio.functional import melscale_fbanks


class LogMel(nn.Module):
    """Compute log-mel magnitudes [B, T, mels] of spectra [B, T, bins]."""

    # Floor of a bin: about 90 dB below a full-scale sine.
    FLOOR = 1e-2 / 640

    filters: Tensor
    between: Tensor

    def __init__(self, *, num_bins: int, num_mels: int, sample_rate: int) -> None:
        super().__init__()
        self._floor = self.FLOOR * (num_bins - 1)
        filters = melscale_fbanks(num_bins, 0.0, sample_rate / 2, num_mels, sample_rate)  # [bins, mels]
        self.register_buffer("filters", filters, persistent=False)
        # No band covers the first and the last bin: they take the weights of their neighbours.
        reached = torch.cat((filters[1:2], filters[1:-1], filters[-2:-1]))
        self.register_buffer("between", reached / reached.sum(1, keepdim=True).clamp(min=1e-6), persistent=False)

    def forward(self, spectrum: Tensor) -> Tensor:
        """Return log-mels [B, T, mels] of spectra [B, T, bins]."""
        return self.of_magnitudes(spectrum.abs())

    def of_magnitudes(self, magnitudes: Tensor) -> Tensor:
        """Return log-mels [B, T, mels] of magnitudes [B, T, bins]."""
        return torch.log((magnitudes @ self.filters).clamp(min=self._floor))

    def to_bins(self, energies: Tensor) -> Tensor:
        """Interpolate band energies [..., mels] to bins [..., bins]."""
        return energies @ self.between.T
