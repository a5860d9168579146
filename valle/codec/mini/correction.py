"""The last step of decoding: speech is brought, band by band, to the levels that its codes say.

Pulses fall where they fall and noise is drawn, so what the decoder makes of a frame is as loud as its filters say on
average only. The codes know better: levels are read off them by a linear filter, and the decoder adds what it has
learned to add.
"""

from math import ceil

from torch import Tensor, nn

from valle.codec.mini.features import SpeechFeatures
from valle.codec.mini.frame_filter import FrameFilter


class BandCorrection(nn.Module):
    """Waveforms [B, T * hop] to waveforms whose levels are nearer to what is wanted.

    `reading` is the filter that reads levels off latents, for callers to begin with.
    """

    ROUNDS = 3
    """Frames overlap, so a gain is met in part only."""
    STEP = 1.3
    """Of what a band lacks, how much it is given: three such rounds come as near as four of just that. 2 diverges."""
    _LARGEST = 3.0
    """Nats by which a round raises or lowers a band at most."""

    def __init__(self, features: SpeechFeatures, latent_dim: int) -> None:
        super().__init__()
        # Hops to either side that reach into one: in each round half a window by analysis and half a one by synthesis.
        self.overlap = self.ROUNDS * ceil(features.fourier.window / features.hop)
        self._fourier, self._log_mel, self._num_bands = features.fourier, features.log_mel, features.num_bands
        self.reading = FrameFilter(latent_dim, features.num_levels).requires_grad_(False)

    def forward(self, waveforms: Tensor, levels: Tensor) -> Tensor:
        """The waveforms [B, T * hop] corrected to `levels` [B, T, levels], as `SpeechFeatures` has them."""
        wanted = levels.reshape(len(levels), -1, self._num_bands)  # of every short frame
        envelope = self._fourier.envelope(wanted.shape[1])
        for _ in range(self.ROUNDS):
            spectrum = self._fourier(waveforms)
            gains = self.STEP * (wanted - self._log_mel(spectrum))
            gains = gains.clamp(-self._LARGEST, self._LARGEST)
            waveforms = self._fourier.inverse(spectrum * self._log_mel.to_bins(gains).exp(), envelope)
        return waveforms
