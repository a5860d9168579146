"""What the decoder filters: pulses at the pitch for voiced sound, white noise for the rest.

The source-filter model of speech. Harmonics that are phase-locked pulses need no phase from the network, and noise
that is drawn anew has the scatter of real breath and hiss, which a network that predicts magnitudes averages away.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

LOWEST_PITCH, HIGHEST_PITCH = 45.0, 700.0
"""Hertz."""
_TOP = 0.475
"""Highest harmonic, as a part of the sample rate."""
_NOISE_SEED = 0


@dataclass(frozen=True, slots=True)
class Voice:
    """Pitch as log2 of hertz and voicing from 0 to 1, each [B, T] at the centres of the hops."""

    pitch: Tensor
    voicing: Tensor


@dataclass(frozen=True, slots=True)
class SampledVoice:
    """Frequency in hertz and voicing from 0 to 1 at every sample, each [B, N]."""

    frequency: Tensor
    voicing: Tensor

    def samples(self, first: int, last: int) -> "SampledVoice":
        """Samples `first` to `last`."""
        return SampledVoice(self.frequency[:, first:last], self.voicing[:, first:last])


def every_sample(values: Tensor, repeats: int) -> Tensor:
    """Values [B, T] at the centres of spans of `repeats` samples, linear in between and level at both ends: [B, N].

    Not torch's interpolation: it counts samples from the start in the precision of the values, and single precision
    is off by a thousandth of a span after half a minute.
    """
    offset = (torch.arange(repeats, device=values.device, dtype=values.dtype) + 0.5) / repeats - 0.5  # from the centre
    before = torch.cat([values[:, :1], values[:, :-1]], 1)[..., None]
    after = torch.cat([values[:, 1:], values[:, -1:]], 1)[..., None]
    here = values[..., None]
    towards = torch.where(offset < 0, before, after) - here
    return (here + offset.abs() * towards).flatten(1)


def sample_voice(voice: Voice, hop_length: int) -> SampledVoice:
    """Linear between the centres of the hops, level before the first and after the last: N = T * hop."""
    return SampledVoice(every_sample(voice.pitch, hop_length).exp2(), every_sample(voice.voicing, hop_length))


def cycles(voice: SampledVoice, start: Tensor, sample_rate: int) -> Tensor:
    """Cycles of the voice after each sample, float64 [B, N], where `start` [B, 1] have gone before."""
    return start + voice.frequency.double().cumsum(1) / sample_rate


def pulses(voice: SampledVoice, phase: Tensor, sample_rate: int) -> Tensor:
    """Pulse train [B, N] with a pulse wherever `phase` (cycles, [B, N]) is whole.

    All harmonics up to just below half the sample rate at equal strength and, where voiced, unit power in total:
    the Dirichlet kernel in closed form.
    """
    count = torch.floor(_TOP * sample_rate / voice.frequency)
    half = torch.remainder(phase, 1.0) * math.pi
    sine = torch.sin(half)
    is_peak = sine.abs() < 1e-6
    ratio = torch.sin((2 * count + 1) * half) / torch.where(is_peak, 1.0, sine) - 1
    train = torch.where(is_peak, 2 * count, ratio)
    return (train / torch.sqrt(2 * count) * voice.voicing).float()


class NoiseSource:
    """White noise of unit variance for one clip: always the same samples, however many are asked for at a time."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(_NOISE_SEED)

    def next(self, num_samples: int) -> Tensor:
        """The next samples [1, N]."""
        return torch.from_numpy(self._rng.standard_normal(num_samples, dtype=np.float32))[None]
