"""The decoder of `mini`: latents to filters of pulses and noise, and these to a waveform."""

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from vocos.models import VocosBackbone

from valle.codec.mini.fourier import ShortTimeFourier
from valle.codec.mini.frame_filter import FrameFilter
from valle.codec.mini.pitch import PitchNetwork
from valle.codec.mini.source import Pitch, cycles, every_sample, pulses, sample_pitch

# Kernel size of the convolutions of the backbone, in frames.
_KERNEL = 7
_QUIETEST, _LOUDEST = -12.0, math.log(100.0)
_LOUDEST_GAIN = 4.0
GAINS_PER_HOP = 4


@dataclass(frozen=True, slots=True)
class Filters:
    """Filters of pulses and noise: log-magnitudes, the phase of the pulse filter, each [B, T, bins], and log-gains.

    The gains [B, T, G] scale the sources before filtering, G times a hop: a window of four hops is too long for the
    burst of a plosive. `band_offsets` [B, T, E] correct the band energies that a linear filter predicts from latents.
    """

    harmonics: Tensor
    noise: Tensor
    phase: Tensor
    pulse_gains: Tensor
    noise_gains: Tensor
    band_offsets: Tensor

    def frames(self, first: int, last: int) -> "Filters":
        """Return frames `first` to `last`."""
        return Filters(*(getattr(self, field.name)[:, first:last] for field in fields(self)))

    def float(self) -> "Filters":
        """Return the filters in single precision."""
        return Filters(*(getattr(self, field.name).float() for field in fields(self)))

    def followed_by(self, later: "Filters") -> "Filters":
        """Return these frames followed by the `later` ones."""
        pairs = ((getattr(self, field.name), getattr(later, field.name)) for field in fields(self))
        return Filters(*(torch.cat(pair, 1) for pair in pairs))


class SourceFilterDecoder(nn.Module):
    """Decode latents [B, T, D] to waveforms [B, T * hop]: a ConvNeXt backbone, then filters on pulses and noise.

    The filter of the pulses has the minimum phase of its magnitude plus a learned offset, as a vocal tract has.
    """

    causal_half: Tensor

    def __init__(
        self,
        *,
        latent_dim: int,
        dim: int,
        intermediate_dim: int,
        num_layers: int,
        sample_rate: int,
        window: int,
        hop: int,
        num_band_energies: int,
    ) -> None:
        super().__init__()
        bins = window // 2 + 1
        self.sample_rate = sample_rate
        self.backbone = VocosBackbone(latent_dim, dim, intermediate_dim, num_layers)
        self.inverse = FrameFilter(latent_dim, latent_dim)
        states = dim + latent_dim
        self.harmonics = nn.Linear(states, bins)
        self.noise = nn.Linear(states, bins)
        self.phase = nn.Linear(states, bins)
        self.gains = nn.Linear(states, 2 * GAINS_PER_HOP)
        self.band_offsets = nn.Linear(states, num_band_energies)
        for layer in (self.phase, self.gains, self.band_offsets):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.pitch = PitchNetwork(latent_dim)
        # Frames to each side on which filters or pitch of a frame depend.
        self.context = max((_KERNEL // 2) * (num_layers + 1), FrameFilter.NUM_TAPS // 2, self.pitch.context)
        self.fourier = ShortTimeFourier(window, hop)
        # Root mean square magnitude of white noise of unit variance in every bin.
        self.noise_magnitude = float(self.fourier.hann.square().sum().sqrt())
        half = torch.zeros(window)
        half[0] = half[window // 2] = 1
        half[1 : window // 2] = 2
        self.register_buffer("causal_half", half, persistent=False)

    def forward(self, latents: Tensor) -> Filters:
        """Return the filters of each frame of latents [B, T, D]; its pitch is that of `self.voice`."""
        hidden = self.states(latents)
        pulse_gains, noise_gains = self.gains(hidden).clamp(-_LOUDEST_GAIN, _LOUDEST_GAIN).chunk(2, 2)
        return Filters(
            harmonics=self.harmonics(hidden).clamp(_QUIETEST, _LOUDEST),
            noise=self.noise(hidden).clamp(_QUIETEST, _LOUDEST),
            phase=self.phase(hidden),
            pulse_gains=pulse_gains,
            noise_gains=noise_gains,
            band_offsets=self.band_offsets(hidden),  # not clamped: the correction bounds each of its rounds
        )

    def states(self, latents: Tensor) -> Tensor:
        """Return the inputs of the filter heads [B, T, dim + D]: backbone output and filtered latents."""
        return torch.cat((self.backbone(latents.transpose(1, 2)), self.inverse(latents)), 2)

    def minimum_phase(self, log_magnitude: Tensor) -> Tensor:
        """Return the phase [B, T, bins] of the minimum-phase filter of a log-magnitude, by its folded cepstrum."""
        cepstrum = torch.fft.irfft(torch.complex(log_magnitude, torch.zeros_like(log_magnitude)), self.fourier.window)
        return torch.fft.rfft(cepstrum * self.causal_half).imag

    def _every_sample(self, log_gains: Tensor) -> Tensor:
        """Return gains [B, T * hop] of log-gains [B, T, G], interpolated linearly in the logarithm."""
        return every_sample(log_gains.flatten(1), self.fourier.hop_length // GAINS_PER_HOP).exp()

    def pulses(self, pitch: Pitch, start: Tensor) -> Tensor:
        """Return the pulse train [B, T * hop] of a pitch, `start` [B, 1] cycles into a period."""
        sampled = sample_pitch(pitch, self.fourier.hop_length)
        return pulses(sampled, cycles(sampled, start, self.sample_rate), self.sample_rate)

    def voiced(self, filters: Filters, train: Tensor) -> Tensor:
        """Return the spectrum [B, T, bins] of the filtered pulse train [B, T * hop]."""
        harmonics = filters.harmonics
        response = torch.polar(harmonics.exp(), self.minimum_phase(harmonics) + filters.phase)
        return self.fourier(train * self._every_sample(filters.pulse_gains)) / self.noise_magnitude * response

    def add_noise(self, voiced: Tensor, filters: Filters, noise: Tensor) -> Tensor:
        """Return waveforms [B, T * hop] of voiced spectra plus filtered `noise` [B, T * hop] of unit variance."""
        shaped = noise * self._every_sample(filters.noise_gains)
        breath = self.fourier(shaped) / self.noise_magnitude * filters.noise.exp()
        return self.fourier.inverse(voiced + breath, self.fourier.envelope(noise.shape[1] // self.fourier.hop_length))
