"""The decoder of `mini`: latents to the filters of pulses and noise, and those to a waveform."""

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from vocos.models import VocosBackbone

from valle.codec.mini.fourier import ShortTimeFourier
from valle.codec.mini.frame_filter import FrameFilter
from valle.codec.mini.source import Voice, cycles, every_sample, pulses, sample_voice
from valle.codec.mini.voice import VoiceNetwork

_KERNEL = 7
"""Frames that a convolution of the backbone sees."""
_QUIETEST, _LOUDEST = -12.0, math.log(100.0)
_LOUDEST_GAIN = 4.0
GAINS_PER_HOP = 4


@dataclass(frozen=True, slots=True)
class Filters:
    """What is done to pulses and noise: log-magnitudes and the phase of the first, each [B, T, bins], and log-gains.

    The gains [B, T, G] act on the sources before they are filtered, G times in a hop: a window of four hops is too
    long for the burst of a plosive. `level_offsets` [B, T, levels] are what the backbone adds to the levels that a
    linear filter reads off the codes, before the speech is corrected to them.
    """

    harmonics: Tensor
    noise: Tensor
    phase: Tensor
    pulse_gains: Tensor
    noise_gains: Tensor
    level_offsets: Tensor

    def frames(self, first: int, last: int) -> "Filters":
        """Frames `first` to `last`."""
        return Filters(*(getattr(self, field.name)[:, first:last] for field in fields(self)))

    def float(self) -> "Filters":
        """The same in single precision."""
        return Filters(*(getattr(self, field.name).float() for field in fields(self)))

    def followed_by(self, later: "Filters") -> "Filters":
        """These frames and then the `later` ones."""
        pairs = ((getattr(self, field.name), getattr(later, field.name)) for field in fields(self))
        return Filters(*(torch.cat(pair, 1) for pair in pairs))


class SourceFilterDecoder(nn.Module):
    """Latents [B, T, D] to waveforms [B, T * hop]: ConvNeXt backbone, then filters on pulses and noise.

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
        num_levels: int,
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
        self.level_offsets = nn.Linear(states, num_levels)
        for layer in (self.phase, self.gains, self.level_offsets):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.voice = VoiceNetwork(latent_dim)
        # Frames to either side on which filters or voice of a frame depend.
        self.context = max((_KERNEL // 2) * (num_layers + 1), FrameFilter.NUM_TAPS // 2, self.voice.context)
        self.fourier = ShortTimeFourier(window, hop)
        # White noise of unit variance has this magnitude in every bin, on average of squares.
        self.level = float(self.fourier.hann.square().sum().sqrt())
        half = torch.zeros(window)
        half[0] = half[window // 2] = 1
        half[1 : window // 2] = 2
        self.register_buffer("causal_half", half, persistent=False)

    def forward(self, latents: Tensor) -> Filters:
        """The filters of each frame of latents [B, T, D]; its voice is what `self.voice` says."""
        hidden = self.states(latents)
        pulse_gains, noise_gains = self.gains(hidden).clamp(-_LOUDEST_GAIN, _LOUDEST_GAIN).chunk(2, 2)
        return Filters(
            harmonics=self.harmonics(hidden).clamp(_QUIETEST, _LOUDEST),
            noise=self.noise(hidden).clamp(_QUIETEST, _LOUDEST),
            phase=self.phase(hidden),
            pulse_gains=pulse_gains,
            noise_gains=noise_gains,
            level_offsets=self.level_offsets(hidden),  # not clamped: the correction bounds each of its rounds
        )

    def states(self, latents: Tensor) -> Tensor:
        """What filters are read off, [B, T, dim + D]: the backbone's view of latents [B, T, D], and these, filtered."""
        return torch.cat((self.backbone(latents.transpose(1, 2)), self.inverse(latents)), 2)

    def minimum_phase(self, log_magnitude: Tensor) -> Tensor:
        """Phase [B, T, bins] of the minimum-phase filter with that log-magnitude, by its folded cepstrum."""
        cepstrum = torch.fft.irfft(torch.complex(log_magnitude, torch.zeros_like(log_magnitude)), self.fourier.window)
        return torch.fft.rfft(cepstrum * self.causal_half).imag

    def _every_sample(self, log_gains: Tensor) -> Tensor:
        """Gains [B, T * hop] of log-gains [B, T, G], linear in the logarithm between their centres."""
        return every_sample(log_gains.flatten(1), self.fourier.hop_length // GAINS_PER_HOP).exp()

    def pulses(self, voice: Voice, start: Tensor) -> Tensor:
        """Pulse train [B, T * hop] of a voice, `start` [B, 1] cycles into a period."""
        sampled = sample_voice(voice, self.fourier.hop_length)
        return pulses(sampled, cycles(sampled, start, self.sample_rate), self.sample_rate)

    def voiced(self, filters: Filters, train: Tensor) -> Tensor:
        """Spectrum [B, T, bins] of the pulse train [B, T * hop] filtered."""
        harmonics = filters.harmonics
        response = torch.polar(harmonics.exp(), self.minimum_phase(harmonics) + filters.phase)
        return self.fourier(train * self._every_sample(filters.pulse_gains)) / self.level * response

    def add_noise(self, voiced: Tensor, filters: Filters, noise: Tensor) -> Tensor:
        """Waveforms [B, T * hop] of voiced spectra and of `noise` [B, T * hop] (unit variance) filtered."""
        shaped = noise * self._every_sample(filters.noise_gains)
        breath = self.fourier(shaped) / self.level * filters.noise.exp()
        return self.fourier.inverse(voiced + breath, self.fourier.envelope(noise.shape[1] // self.fourier.hop_length))
