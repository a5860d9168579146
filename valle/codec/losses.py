"""What the training of the embedded codec minimises: spectral distances at several resolutions, and hinge losses."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.functional import melscale_fbanks

from valle.codec.network import modulus

# Window in samples -> mel bands: short windows see the timing of glottal pulses, long ones the harmonics.
RESOLUTIONS = {256: 24, 512: 48, 1024: 80, 2048: 128}
MAGNITUDE_FLOOR = 1e-2


@dataclass(frozen=True, slots=True)
class SpectralDistances:
    """How far spectra are apart: L1 of log-mels, L1 of log-magnitudes bin by bin, and spectral convergence."""

    log_mel: Tensor
    log_magnitude: Tensor
    convergence: Tensor


def log_modulus(magnitude: Tensor) -> Tensor:
    """Natural logarithm above the floor below which loudness does not matter."""
    return magnitude.clamp(min=MAGNITUDE_FLOOR).log()


class SpectralLoss(nn.Module):
    """Spectral distances, averaged over window lengths (hop is a quarter of the window)."""

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        for window, num_mels in RESOLUTIONS.items():
            filters = melscale_fbanks(window // 2 + 1, 0.0, sample_rate / 2, num_mels, sample_rate)
            self.register_buffer(f"filters{window}", filters.T.contiguous(), persistent=False)
            self.register_buffer(f"hann{window}", torch.hann_window(window), persistent=False)

    def _magnitude(self, waveforms: Tensor, window: int) -> Tensor:
        hann = self.get_buffer(f"hann{window}")
        spectrum = torch.stft(waveforms, window, window // 4, window=hann, center=False, return_complex=True)
        return modulus(spectrum)

    def forward(self, output: Tensor, target: Tensor) -> SpectralDistances:
        """Distances of waveforms [B, N], each averaged over the resolutions."""
        log_mel = output.new_zeros(())
        log_magnitude = output.new_zeros(())
        convergence = output.new_zeros(())
        for window in RESOLUTIONS:
            made = self._magnitude(output, window)
            with torch.no_grad():
                wanted = self._magnitude(target, window)
            filters = self.get_buffer(f"filters{window}")
            log_mel = log_mel + functional.l1_loss(log_modulus(filters @ made), log_modulus(filters @ wanted))
            log_magnitude = log_magnitude + functional.l1_loss(log_modulus(made), log_modulus(wanted))
            distance = (made - wanted).flatten(1).norm(dim=1)
            convergence = convergence + (distance / wanted.flatten(1).norm(dim=1).clamp(min=1.0)).mean()
        count = len(RESOLUTIONS)
        return SpectralDistances(log_mel / count, log_magnitude / count, convergence / count)


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
