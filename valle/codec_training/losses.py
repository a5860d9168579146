"""What the training of the embedded codec minimises: an energy distance of spectra, and hinge losses of critics."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.functional import melscale_fbanks

from valle.codec.mini.fourier import modulus

# Window in samples -> mel bands: short windows see the timing of glottal pulses, long ones the harmonics.
RESOLUTIONS = {256: 24, 512: 48, 1024: 80, 2048: 128}
MAGNITUDE_FLOOR = 1e-2
# Weights of log-mels, of log-magnitudes bin by bin, and of square roots of mels, which hear the loud parts.
_LOG_MEL, _LOG_MAGNITUDE, _ROOT_MEL = 10.0, 5.0, 5.0

Features = list[tuple[float, Tensor]]


def _floored_log(magnitude: Tensor) -> Tensor:
    """Natural logarithm above the floor below which loudness does not matter."""
    return magnitude.clamp(min=MAGNITUDE_FLOOR).log()


class SpectralFeatures(nn.Module):
    """What of a waveform is compared: log-mels, log-magnitudes and root-mels at several window lengths, weighted."""

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        for window, num_mels in RESOLUTIONS.items():
            filters = melscale_fbanks(window // 2 + 1, 0.0, sample_rate / 2, num_mels, sample_rate)
            self.register_buffer(f"filters{window}", filters.T.contiguous(), persistent=False)
            self.register_buffer(f"hann{window}", torch.hann_window(window), persistent=False)

    def _magnitude(self, waveforms: Tensor, window: int) -> Tensor:
        # A hop of 128 is the shortest: the finest timing at a bearable cost.
        hop = max(128, window // 4)
        hann = self.get_buffer(f"hann{window}")
        return modulus(torch.stft(waveforms, window, hop, window=hann, center=False, return_complex=True))

    def forward(self, waveforms: Tensor) -> Features:
        """(weight, values) pairs of waveforms [B, N]."""
        features: Features = []
        for window in RESOLUTIONS:
            magnitude = self._magnitude(waveforms, window)
            mel = (self.get_buffer(f"filters{window}") @ magnitude).clamp(min=MAGNITUDE_FLOOR)
            features += [(_LOG_MEL, mel.log()), (_LOG_MAGNITUDE, _floored_log(magnitude)), (_ROOT_MEL, mel.sqrt())]
        return features


def spectral_distance(one: Features, other: Features) -> Tensor:
    """Weighted L1 distance, averaged over the window lengths."""
    distances = [weight * functional.l1_loss(a, b) for (weight, a), (_, b) in zip(one, other, strict=True)]
    return torch.stack(distances).sum() / len(RESOLUTIONS)


def energy_distance(target: Features, one: Features, other: Features, *, repulsion: float = 1.0) -> Tensor:
    """Twice the distance of two outputs to the target, less `repulsion` times their distance to each other.

    `one` and `other` differ only in the noise that was drawn. Without the last term the best output is the median of
    all that could have been said, which has no noise in it; at 1 the whole distribution is scored (Gritsenko et
    al. 2020, "A spectral energy distance for parallel speech synthesis", eq. 4), and all that the network cannot
    predict becomes noise. In between the output is clearer than the distribution is.
    """
    attraction = spectral_distance(target, one) + spectral_distance(target, other)
    return attraction - repulsion * spectral_distance(one, other)


def discriminator_loss(real: Sequence[Tensor], made: Sequence[Tensor]) -> Tensor:
    """Hinge loss of the discriminators on their scores of recordings and of reconstructions."""
    losses = [functional.relu(1 - r).mean() + functional.relu(1 + m).mean() for r, m in zip(real, made, strict=True)]
    return torch.stack(losses).mean()


def generator_loss(made: Sequence[Tensor]) -> Tensor:
    """Hinge loss of the decoder on the discriminators' scores of its output."""
    return torch.stack([functional.relu(1 - m).mean() for m in made]).mean()


def feature_loss(real: Sequence[Sequence[Tensor]], made: Sequence[Sequence[Tensor]]) -> Tensor:
    """Feature matching: L1 between the discriminators' activations, relative to their mean size (EnCodec, eq. 2)."""
    losses = [
        functional.l1_loss(m, r) / r.abs().mean().clamp(min=1e-4)
        for real_maps, made_maps in zip(real, made, strict=True)
        for r, m in zip(real_maps, made_maps, strict=True)
    ]
    return torch.stack(losses).mean()
