"""Streaming decode of `mini`: emit a frame as soon as its context is known.

The backbone sees `context` frames to both sides, so the filters of a frame are final once that many later frames are
known; source, filter and correction need a few more (0.51 s in all at the shipped windows).
"""

import numpy as np
import torch

from valle.audio import Samples
from valle.codec.base import Codes
from valle.codec.mini.decoder import GAINS_PER_HOP, Filters
from valle.codec.mini.network import MiniNetwork
from valle.codec.mini.source import NoiseSource, Pitch, cycles, pulses, sample_pitch


class MiniStream:
    """Decode one clip in pieces that join to the whole; see `CodecStream`.

    Buffers hold what later frames still need: latents (from frame `_latents_from`), and filters, energies, pitch,
    pulses and noise (from frame `_sound_from`).
    """

    def __init__(self, network: MiniNetwork) -> None:
        self._network = network
        self._hop = network.config.hop_length
        # Frames to each side whose source and filter affect the samples of one, before and in the correction.
        self._overlap = network.config.window // self._hop + network.correction.overlap
        self._latents = torch.zeros(1, 0, network.config.latent_dim)
        self._latents_from = 0
        bins = network.config.window // 2 + 1
        sizes = (bins, bins, bins, GAINS_PER_HOP, GAINS_PER_HOP, network.features.num_band_energies)
        self._filters = Filters(*(torch.zeros(1, 0, size) for size in sizes))
        self._energies = torch.zeros(1, 0, network.features.num_band_energies)
        self._pitch = Pitch(*(torch.zeros(1, 0, dtype=torch.float64) for _ in range(2)))
        self._sound_from = 0
        self._num_final = 0  # frames whose filters and pitch are final
        self._num_pulsed = 0  # frames whose pulses are made
        self._num_emitted = 0  # frames that were emitted
        self._cycles = torch.zeros(1, 1, dtype=torch.float64)  # of the pitch, at the end of the pulses
        self._train = torch.zeros(1, 0)
        self._noise_source = NoiseSource()
        self._noise = torch.zeros(1, 0)

    @property
    def latency_frames(self) -> int:
        """Return how many later frames must be known before a frame is emitted."""
        return self._network.decoder.context + self._overlap + 1

    @torch.inference_mode()
    def push(self, codes: Codes) -> Samples:
        """Return the samples [N], possibly none, that codes [K', T] complete; K' is the same in every push."""
        assert codes.ndim == 2, f"codes [K, T] are wanted, not {codes.shape}"
        latents = self._network.quantizer.decode(torch.from_numpy(codes.astype(np.int64)))
        self._latents = torch.cat([self._latents, latents[None]], 1)
        return self._emit(is_last=False)

    @torch.inference_mode()
    def finish(self) -> Samples:
        """Return the remaining samples; the stream accepts no codes afterwards."""
        return self._emit(is_last=True)

    def _emit(self, *, is_last: bool) -> Samples:
        known = self._latents_from + self._latents.shape[1]
        final = known if is_last else known - self._network.decoder.context
        if final <= self._num_final and not (is_last and self._num_emitted < known):
            return np.zeros(0, np.float32)
        self._finalise(final)
        self._pulse(final if is_last else final - 1)
        piece = self._filter(self._num_pulsed if is_last else self._num_pulsed - self._overlap)
        self._forget()
        return piece

    def _finalise(self, until: int) -> None:
        """Compute filters, band energies, pitch and noise of the frames up to `until`."""
        if until <= self._num_final:
            return
        first, last = self._num_final - self._latents_from, until - self._latents_from
        filters = self._network.decoder(self._latents)
        self._filters = self._filters.followed_by(filters.frames(first, last))
        energies = self._network.target_band_energies(self._latents, filters)
        self._energies = torch.cat([self._energies, energies[:, first:last]], 1)
        pitch = self._network.decoder.pitch(self._latents).decide()
        self._pitch = Pitch(
            torch.cat([self._pitch.log2_hertz, pitch.log2_hertz[:, first:last]], 1),
            torch.cat([self._pitch.voicing, pitch.voicing[:, first:last]], 1),
        )
        self._noise = torch.cat([self._noise, self._noise_source.next((until - self._num_final) * self._hop)], 1)
        self._num_final = until

    def _pulse(self, until: int) -> None:
        """Compute the pulses of the frames up to `until`; pitch is interpolated from one more frame on each side."""
        if until <= self._num_pulsed:
            return
        before = max(self._sound_from, self._num_pulsed - 1)
        near = slice(before - self._sound_from, until + 1 - self._sound_from)
        pitch = Pitch(self._pitch.log2_hertz[:, near], self._pitch.voicing[:, near])
        first = (self._num_pulsed - before) * self._hop
        sampled = sample_pitch(pitch, self._hop).samples(first, first + (until - self._num_pulsed) * self._hop)
        rate = self._network.config.sample_rate
        phase = cycles(sampled, self._cycles, rate)
        self._train = torch.cat([self._train, pulses(sampled, phase, rate)], 1)
        self._cycles = phase[:, -1:]
        self._num_pulsed = until

    def _filter(self, until: int) -> Samples:
        """Return the samples of the frames up to `until`."""
        if until <= self._num_emitted:
            return np.zeros(0, np.float32)
        # Counted from the first frame of the sound buffers.
        spoken, until = self._num_emitted - self._sound_from, until - self._sound_from
        first, last = max(0, spoken - self._overlap), min(self._num_pulsed - self._sound_from, until + self._overlap)
        filters = self._filters.frames(first, last)
        samples = slice(first * self._hop, last * self._hop)
        voiced = self._network.decoder.voiced(filters, self._train[:, samples])
        speech = self._network.decoder.add_noise(voiced, filters, self._noise[:, samples])
        corrected = self._network.correction(speech, self._energies[:, first:last])[0]
        self._num_emitted = until + self._sound_from
        return corrected[(spoken - first) * self._hop : (until - first) * self._hop].clamp(-1, 1).numpy()

    def _forget(self) -> None:
        """Drop the buffers that no later frame needs."""
        needed = max(0, self._num_final - self._network.decoder.context)
        self._latents = self._latents[:, needed - self._latents_from :]
        self._latents_from = needed
        needed = max(0, min(self._num_emitted - self._overlap, self._num_pulsed - 1))
        gone = needed - self._sound_from
        if gone > 0:
            self._filters = self._filters.frames(gone, self._num_final - self._sound_from)
            self._energies = self._energies[:, gone:]
            self._pitch = Pitch(self._pitch.log2_hertz[:, gone:], self._pitch.voicing[:, gone:])
            self._train = self._train[:, gone * self._hop :]
            self._noise = self._noise[:, gone * self._hop :]
            self._sound_from = needed
