"""Sources of the source-filter model: pulses at the pitch for voiced sound, white noise for the rest.

Phase-locked pulses need no phase from the network. Random noise has the variance of real breath and hiss, which a
network that predicts magnitudes averages away.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

LOWEST_PITCH, HIGHEST_PITCH = 45.0, 700.0
"""Hertz."""
# Frequency of the highest harmonic relative to the sample rate.
_TOP = 0.475
# A fixed seed: the same codes decode to the same samples.
_NOISE_SEED = 0


@dataclass(frozen=True, slots=True)
class Pitch:
    """Pitch as log2 of hertz and voicing from 0 to 1, each [B, T] at the centres of the hops."""

    log2_hertz: Tensor
    voicing: Tensor


@dataclass(frozen=True, slots=True)
class SampledPitch:
    """Frequency in hertz and voicing from 0 to 1 at every sample, each [B, N]."""

    frequency: Tensor
    voicing: Tensor

    def samples(self, first: int, last: int) -> "SampledPitch":
        """Return samples `first` to `last`."""
        return SampledPitch(self.frequency[:, first:last], self.voicing[:, first:last])


def every_sample(values: Tensor, repeats: int) -> Tensor:
    """Interpolate values [B, T] at the centres of spans of `repeats` samples to [B, N], constant at both ends.

    torch's interpolation is not used: it counts samples from the start in the precision of the values, and single
    precision is off by a thousandth of a span after half a minute.
    """
    offset = (torch.arange(repeats, device=values.device, dtype=values.dtype) + 0.5) / repeats - 0.5  # from the centre
    before = torch.cat([values[:, :1], values[:, :-1]], 1)[..., None]
    after = torch.cat([values[:, 1:], values[:, -1:]], 1)[..., None]
    here = values[..., None]
    towards = torch.where(offset < 0, before, after) - here
    return (here + offset.abs() * towards).flatten(1)


def sample_pitch(pitch: Pitch, hop_length: int) -> SampledPitch:
    """Interpolate pitch and voicing between the centres of the hops to N = T * hop samples."""
    return SampledPitch(every_sample(pitch.log2_hertz, hop_length).exp2(), every_sample(pitch.voicing, hop_length))


def cycles(pitch: SampledPitch, start: Tensor, sample_rate: int) -> Tensor:
    """Return the cycles of the pitch after each sample, float64 [B, N], starting at `start` [B, 1]."""
    return start + pitch.frequency.double().cumsum(1) / sample_rate


def pulses(pitch: SampledPitch, phase: Tensor, sample_rate: int) -> Tensor:
    """Return the pulse train [B, N] with a pulse wherever `phase` (cycles, [B, N]) is whole.

    All harmonics up to just below half the sample rate have equal strength, and voiced sound has unit power: the
    Dirichlet kernel in closed form.
    """
    count = torch.floor(_TOP * sample_rate / pitch.frequency)
    half = torch.remainder(phase, 1.0) * math.pi
    sine = torch.sin(half)
    is_peak = sine.abs() < 1e-6
    ratio = torch.sin((2 * count + 1) * half) / torch.where(is_peak, 1.0, sine) - 1
    train = torch.where(is_peak, 2 * count, ratio)
    return (train / torch.sqrt(2 * count) * pitch.voicing).float()


class NoiseSource:
    """White noise of unit variance for one clip; the samples do not depend on the sizes of the requests."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(_NOISE_SEED)

    def next(self, num_samples: int) -> Tensor:
        """Return the next samples [1, N]."""
        return torch.from_numpy(self._rng.standard_normal(num_samples, dtype=np.float32))[None]
