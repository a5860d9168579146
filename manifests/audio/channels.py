"""Decide which channels of a recording are recordings of their own.

Channels with the same sound, up to gain, phase and a small delay, are one recording, and the best of them is read.
Channels with different sounds, such as the two callers of a telephone line, are a recording each.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

ChannelMode = Literal["auto", "mix", "split", "first"]
"""`auto`: as the channels are alike or differ; `mix`: their mean; `split`: one recording each; `first`: the first."""

MAX_CHANNELS = 16
"""Channels that `auto` compares; the others of a larger array are left out."""

_FRAME_SECONDS = 0.064  # long beside the delay between two microphones of one room
# Measured: two speakers 0.04 (0.17 in 2 s), with an echo of -20 dB 0.21, two microphones in one room 0.62 to 0.73.
_MIN_COHERENCE = 0.5
_MIN_LEVEL = -60.0  # dBFS of the loudest frame, as the segment stage calls a recording silent
_MAX_BELOW_LOUDEST = 40.0  # decibels; more is crosstalk of the cable, not a speaker
_TIE = 0.1  # decibels within which the first of several channels is as good


class ChannelComparison:
    """Running sums over the frames of a recording, from which its channels are compared."""

    def __init__(self, num_channels: int, sample_rate: int) -> None:
        self._num_channels = min(num_channels, MAX_CHANNELS)
        self._frame_size = 1 << max(4, round(np.log2(_FRAME_SECONDS * sample_rate)))
        self._window = np.hanning(self._frame_size).astype(np.float32)[:, None]
        shape = (self._frame_size // 2 + 1, self._num_channels, self._num_channels)
        self._spectra = np.zeros(shape, np.complex128)
        self._pending = np.zeros((0, self._num_channels), np.float32)
        self._num_frames = 0
        self._loudest = np.full(self._num_channels, -np.inf)
        self._level_sum = np.zeros(self._num_channels)
        self._level_square_sum = np.zeros(self._num_channels)

    def add(self, block: NDArray[np.float32]) -> None:
        """Add samples [time, channels] that follow those added before."""
        samples = np.concatenate([self._pending, block[:, : self._num_channels]])
        count = len(samples) // self._frame_size
        self._pending = samples[count * self._frame_size :]
        if count:
            self._add_frames(samples[: count * self._frame_size].reshape(count, self._frame_size, -1))

    def choose(self) -> tuple[int, ...]:
        """Return the channels to read: one of each group with the same sound; the first of a silent file."""
        if len(self._pending):
            padding = np.zeros((self._frame_size - len(self._pending), self._num_channels), np.float32)
            self._add_frames(np.concatenate([self._pending, padding])[None])
            self._pending = self._pending[:0]
        floor = max(_MIN_LEVEL, self._loudest.max() - _MAX_BELOW_LOUDEST)
        groups: list[list[int]] = []
        for channel in map(int, np.flatnonzero(self._loudest >= floor)):
            group = next((group for group in groups if self._coherence(group[0], channel) >= _MIN_COHERENCE), None)
            if group is None:
                groups.append([channel])
            else:
                group.append(channel)
        return tuple(sorted(self._best(group) for group in groups)) or (0,)

    def _add_frames(self, frames: NDArray[np.float32]) -> None:
        """Add frames [frames, time, channels]; samples that are not finite count as zero."""
        frames = np.nan_to_num(np.clip(frames, -1e3, 1e3), nan=0.0)
        # Sums of cross-spectra, not of samples: they are blind to delays, which differ from microphone to microphone.
        spectra = np.fft.rfft(frames * self._window, axis=1)
        self._spectra += np.einsum("tfi,tfj->fij", spectra, spectra.conj())
        levels = 10 * np.log10(np.square(frames, dtype=np.float64).mean(axis=1) + 1e-9)
        self._num_frames += len(levels)
        self._loudest = np.maximum(self._loudest, levels.max(axis=0))
        self._level_sum += levels.sum(axis=0)
        self._level_square_sum += np.square(levels).sum(axis=0)

    def _coherence(self, first: int, second: int) -> float:
        """Return the magnitude of the cross-spectrum relative to the power of both channels, 0 to 1.

        A gain, a sign or a delay that is short beside a frame does not change it.
        """
        power = np.einsum("fii->i", self._spectra).real
        shared = np.abs(self._spectra[:, first, second]).sum()
        return float(shared / np.sqrt(power[first] * power[second] + 1e-30))

    def _best(self, group: list[int]) -> int:
        """Return the channel with the widest range of levels: noise raises the pauses, clipping lowers the peaks."""
        mean = self._level_sum / self._num_frames
        spread = np.sqrt(np.maximum(0.0, self._level_square_sum / self._num_frames - mean**2))
        return min(channel for channel in group if spread[channel] >= spread[group].max() - _TIE)
