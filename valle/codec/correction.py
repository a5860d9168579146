"""The last step of decoding: speech is brought, band by band, to the log-mels that its codes say.

Pulses fall where they fall and noise is drawn, so what the decoder makes of a frame is as loud as its filters say on
average only. The codes know better: their log-mels are read off them by a linear filter.
"""

from torch import Tensor, nn

from valle.codec.fourier import ShortTimeFourier
from valle.codec.frame_filter import FrameFilter
from valle.codec.mels import LogMel


class BandCorrection(nn.Module):
    """Waveforms [B, T * hop] and latents [B, T, D] to waveforms whose log-mels are nearer to what the latents say."""

    ROUNDS = 2
    """Frames overlap, so a gain is met in part; after two rounds little is left to gain."""
    OVERLAP = 4 * ROUNDS
    """Frames to either side that reach into a frame: in each round two by analysis and two by synthesis."""
    _LARGEST = 3.0
    """Nats by which a band is raised or lowered at most."""

    def __init__(self, fourier: ShortTimeFourier, log_mel: LogMel, latent_dim: int) -> None:
        super().__init__()
        self._fourier, self._log_mel = fourier, log_mel
        self.reading = FrameFilter(latent_dim, log_mel.filters.shape[1]).requires_grad_(False)

    def forward(self, waveforms: Tensor, log_mels: Tensor) -> Tensor:
        """The waveforms [B, T * hop] corrected to `log_mels` [B, T, mels], as `reading` has them of latents."""
        envelope = self._fourier.envelope(log_mels.shape[1])
        for _ in range(self.ROUNDS):
            spectrum = self._fourier(waveforms)
            missing = (log_mels - self._log_mel(spectrum)).clamp(-self._LARGEST, self._LARGEST)
            waveforms = self._fourier.inverse(spectrum * self._log_mel.to_bins(missing).exp(), envelope)
        return waveforms
