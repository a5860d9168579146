"""Scale the bands of decoded speech to the energies that its codes predict: the last step of decoding.

The source-filter output matches the predicted band energies only in expectation, because pulse positions and noise
are random. A linear filter predicts the energies from the latents, and the decoder adds a learned offset.
"""

from math import ceil

from torch import Tensor, nn

from valle.codec.mini.features import SpeechFeatures
from valle.codec.mini.frame_filter import FrameFilter


class BandCorrection(nn.Module):
    """Bring waveforms [B, T * hop] nearer to target band energies, in rounds.

    `band_filter` predicts band energies from latents; callers add offsets before they call.
    """

    ROUNDS = 3
    """Overlapping frames average neighbouring gains, so one round reaches a target only in part."""
    STEP = 1.3
    """Over-relaxation factor: three rounds of 1.3 equal four rounds of 1; a factor of 2 diverges."""
    _LARGEST = 3.0
    """Largest change of a band in one round, in nats."""

    def __init__(self, features: SpeechFeatures, latent_dim: int) -> None:
        super().__init__()
        # Hops to each side that affect one: in each round half a window by analysis and half a window by synthesis.
        self.overlap = self.ROUNDS * ceil(features.fourier.window / features.hop)
        self._fourier, self._log_mel, self._num_bands = features.fourier, features.log_mel, features.num_bands
        self.band_filter = FrameFilter(latent_dim, features.num_band_energies).requires_grad_(False)

    def forward(self, waveforms: Tensor, energies: Tensor) -> Tensor:
        """Return waveforms [B, T * hop] with band energies near `energies` [B, T, E], ordered as `SpeechFeatures`."""
        targets = energies.reshape(len(energies), -1, self._num_bands)  # one row per short frame
        envelope = self._fourier.envelope(targets.shape[1])
        for _ in range(self.ROUNDS):
            spectrum = self._fourier(waveforms)
            gains = self.gains(targets, self._log_mel(spectrum))
            waveforms = self._fourier.inverse(spectrum * self._log_mel.to_bins(gains).exp(), envelope)
        return waveforms

    def gains(self, targets: Tensor, energies: Tensor) -> Tensor:
        """Return the changes of one round in nats, from the energies that are wanted and those that are there."""
        return (self.STEP * (targets - energies)).clamp(-self._LARGEST, self._LARGEST)
