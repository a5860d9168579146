"""Log-mel magnitudes as `mini` sees and reads them, and what a level per band says of the bins between."""

import torch
from torch import Tensor, nn
from torchaudio.functional import melscale_fbanks


class LogMel(nn.Module):
    """Log-mel magnitudes [B, T, mels] of spectra [B, T, bins]."""

    # Quieter than this, for each bin of the spectrum, is not told apart: about 90 dB below a full-scale sine.
    FLOOR = 1e-2 / 640

    filters: Tensor
    between: Tensor

    def __init__(self, *, num_bins: int, num_mels: int, sample_rate: int) -> None:
        super().__init__()
        self._floor = self.FLOOR * (num_bins - 1)
        filters = melscale_fbanks(num_bins, 0.0, sample_rate / 2, num_mels, sample_rate)  # [bins, mels]
        self.register_buffer("filters", filters, persistent=False)
        # The first and the last bin lie in no band: they are as loud as their neighbours.
        reached = torch.cat((filters[1:2], filters[1:-1], filters[-2:-1]))
        self.register_buffer("between", reached / reached.sum(1, keepdim=True).clamp(min=1e-6), persistent=False)

    def forward(self, spectrum: Tensor) -> Tensor:
        """Log-mel [B, T, mels] of spectra [B, T, bins]."""
        return torch.log((spectrum.abs() @ self.filters).clamp(min=self._floor))

    def to_bins(self, levels: Tensor) -> Tensor:
        """Levels [..., mels] of bands, interpolated to bins [..., bins]."""
        return levels @ self.between.T
