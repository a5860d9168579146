"""Losses of the codec training: an energy distance of spectra, and hinge losses of a discriminator."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.functional import melscale_fbanks

from valle.codec.mini.fourier import modulus

# Window in samples -> mel bands: short windows resolve glottal pulses, long ones harmonics.
RESOLUTIONS = {256: 24, 512: 48, 1024: 80, 2048: 128}
MAGNITUDE_FLOOR = 1e-2
# Weights of log-mels, of log-magnitudes per bin, and of square roots of mels, which emphasise loud parts.
_LOG_MEL, _LOG_MAGNITUDE, _ROOT_MEL = 10.0, 5.0, 5.0

Features = list[tuple[float, Tensor]]


def _floored_log(magnitude: Tensor) -> Tensor:
    """Return the natural logarithm of magnitudes clamped at the floor."""
    return magnitude.clamp(min=MAGNITUDE_FLOOR).log()


class SpectralFeatures(nn.Module):
    """Compute weighted log-mels, log-magnitudes and root-mels at several window lengths."""

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        for window, num_mels in RESOLUTIONS.items():
            filters = melscale_fbanks(window // 2 + 1, 0.0, sample_rate / 2, num_mels, sample_rate)
            self.register_buffer(f"filters{window}", filters.T.contiguous(), persistent=False)
            self.register_buffer(f"hann{window}", torch.hann_window(window), persistent=False)

    def _magnitude(self, waveforms: Tensor, window: int) -> Tensor:
        # A hop of 128 bounds the cost of short windows.
        hop = max(128, window // 4)
        hann = self.get_buffer(f"hann{window}")
        return modulus(torch.stft(waveforms, window, hop, window=hann, center=False, return_complex=True))

    def forward(self, waveforms: Tensor) -> Features:
        """Return (weight, values) pairs of waveforms [B, N]."""
        features: Features = []
        for window in RESOLUTIONS:
            magnitude = self._magnitude(waveforms, window)
            mel = (self.get_buffer(f"filters{window}") @ magnitude).clamp(min=MAGNITUDE_FLOOR)
            features += [(_LOG_MEL, mel.log()), (_LOG_MAGNITUDE, _floored_log(magnitude)), (_ROOT_MEL, mel.sqrt())]
        return features


def spectral_distance(one: Features, other: Features) -> Tensor:
    """Return the weighted L1 distance, averaged over the window lengths."""
    distances = [weight * functional.l1_loss(a, b) for (weight, a), (_, b) in zip(one, other, strict=True)]
    return torch.stack(distances).sum() / len(RESOLUTIONS)


def energy_distance(target: Features, one: Features, other: Features, *, repulsion: float = 1.0) -> Tensor:
    """Return twice the distance of two outputs to the target, minus `repulsion` times their distance to each other.

    `one` and `other` differ only in their random noise. Without the repulsive term the optimum is the median of the
    distribution, which contains no noise. With a weight of 1 this is the energy distance of the whole distribution
    (Gritsenko et al. 2020, "A spectral energy distance for parallel speech synthesis", eq. 4), and everything that the
    network cannot predict becomes noise. Values between trade noise for clarity.
    """
    attraction = spectral_distance(target, one) + spectral_distance(target, other)
    return attraction - repulsion * spectral_distance(one, other)


def discriminator_loss(real: Sequence[Tensor], made: Sequence[Tensor]) -> Tensor:
    """Return the hinge loss of the discriminators on their scores of recordings and of reconstructions."""
    losses = [functional.relu(1 - r).mean() + functional.relu(1 + m).mean() for r, m in zip(real, made, strict=True)]
    return torch.stack(losses).mean()


def generator_loss(made: Sequence[Tensor]) -> Tensor:
    """Return the hinge loss of the decoder on the discriminators' scores of its output."""
    return torch.stack([functional.relu(1 - m).mean() for m in made]).mean()


def feature_loss(real: Sequence[Sequence[Tensor]], made: Sequence[Sequence[Tensor]]) -> Tensor:
    """Return the feature matching loss: L1 of activations relative to their mean size (EnCodec, eq. 2)."""
    losses = [
        functional.l1_loss(m, r) / r.abs().mean().clamp(min=1e-4)
        for real_maps, made_maps in zip(real, made, strict=True)
        for r, m in zip(real_maps, made_maps, strict=True)
    ]
    return torch.stack(losses).mean()
