"""Streaming decode: codes come a few frames at a time, speech leaves as soon as its context is known.

What is streamed equals what is decoded whole. The backbone sees `context` frames to both sides, so the filters of a
frame are final once that many later frames are there; source, filter and correction need a few more (0.51 s in all for
`mini`).
"""

import numpy as np
import torch

from valle.audio import Samples
from valle.codec.base import Codes
from valle.codec.mini.decoder import GAINS_PER_HOP, Filters
from valle.codec.mini.network import MiniNetwork
from valle.codec.mini.source import NoiseSource, Voice, cycles, pulses, sample_voice


class MiniStream:
    """Decodes one clip in pieces. `push` codes in their order, then `finish`; the pieces join to the whole.

    Buffers hold what later frames still need: latents (from frame `_latents_from`), and filters, levels, voice,
    pulses and noise (from frame `_sound_from`).
    """

    def __init__(self, network: MiniNetwork) -> None:
        self._network = network
        self._hop = network.config.hop_length
        # Frames to either side whose source and filter reach into the samples of one, before and in the correction.
        self._overlap = network.config.window // self._hop + network.correction.overlap
        self._latents = torch.zeros(1, 0, network.config.latent_dim)
        self._latents_from = 0
        bins = network.config.window // 2 + 1
        sizes = (bins, bins, bins, GAINS_PER_HOP, GAINS_PER_HOP, network.features.num_levels)
        self._filters = Filters(*(torch.zeros(1, 0, size) for size in sizes))
        self._levels = torch.zeros(1, 0, network.features.num_levels)
        self._voice = Voice(*(torch.zeros(1, 0, dtype=torch.float64) for _ in range(2)))
        self._sound_from = 0
        self._num_final = 0  # frames whose filters and voice are final
        self._num_pulsed = 0  # frames whose pulses are made
        self._num_spoken = 0  # frames that have left
        self._cycles = torch.zeros(1, 1, dtype=torch.float64)  # of the voice, at the end of the pulses
        self._train = torch.zeros(1, 0)
        self._noise_source = NoiseSource()
        self._noise = torch.zeros(1, 0)

    @property
    def latency_frames(self) -> int:
        """How many frames after a frame must be known before it is spoken."""
        return self._network.decoder.context + self._overlap + 1

    @torch.inference_mode()
    def push(self, codes: Codes) -> Samples:
        """The speech [N] that codes [K', T] complete, possibly none; every push has the same number of codebooks."""
        assert codes.ndim == 2, f"codes [K, T] are wanted, not {codes.shape}"
        latents = self._network.quantizer.decode(torch.from_numpy(codes.astype(np.int64)))
        self._latents = torch.cat([self._latents, latents[None]], 1)
        return self._speak(is_last=False)

    @torch.inference_mode()
    def finish(self) -> Samples:
        """The rest of the speech; nothing may be pushed after it."""
        return self._speak(is_last=True)

    def _speak(self, *, is_last: bool) -> Samples:
        known = self._latents_from + self._latents.shape[1]
        final = known if is_last else known - self._network.decoder.context
        if final <= self._num_final and not (is_last and self._num_spoken < known):
            return np.zeros(0, np.float32)
        self._finalise(final)
        self._pulse(final if is_last else final - 1)
        piece = self._filter(self._num_pulsed if is_last else self._num_pulsed - self._overlap)
        self._forget()
        return piece

    def _finalise(self, until: int) -> None:
        """Filters, levels, voice and noise of the frames up to `until`."""
        if until <= self._num_final:
            return
        first, last = self._num_final - self._latents_from, until - self._latents_from
        filters = self._network.decoder(self._latents)
        self._filters = self._filters.followed_by(filters.frames(first, last))
        levels = self._network.wanted_levels(self._latents, filters)
        self._levels = torch.cat([self._levels, levels[:, first:last]], 1)
        voice = self._network.decoder.voice(self._latents).decide()
        self._voice = Voice(
            torch.cat([self._voice.pitch, voice.pitch[:, first:last]], 1),
            torch.cat([self._voice.voicing, voice.voicing[:, first:last]], 1),
        )
        self._noise = torch.cat([self._noise, self._noise_source.next((until - self._num_final) * self._hop)], 1)
        self._num_final = until

    def _pulse(self, until: int) -> None:
        """Pulses of the frames up to `until`; the pitch is interpolated from one more frame on either side."""
        if until <= self._num_pulsed:
            return
        before = max(self._sound_from, self._num_pulsed - 1)
        near = slice(before - self._sound_from, until + 1 - self._sound_from)
        voice = Voice(self._voice.pitch[:, near], self._voice.voicing[:, near])
        first = (self._num_pulsed - before) * self._hop
        sampled = sample_voice(voice, self._hop).samples(first, first + (until - self._num_pulsed) * self._hop)
        rate = self._network.config.sample_rate
        phase = cycles(sampled, self._cycles, rate)
        self._train = torch.cat([self._train, pulses(sampled, phase, rate)], 1)
        self._cycles = phase[:, -1:]
        self._num_pulsed = until

    def _filter(self, until: int) -> Samples:
        """The speech of the frames up to `until`."""
        if until <= self._num_spoken:
            return np.zeros(0, np.float32)
        # Counted from the first frame of the sound buffers.
        spoken, until = self._num_spoken - self._sound_from, until - self._sound_from
        first, last = max(0, spoken - self._overlap), min(self._num_pulsed - self._sound_from, until + self._overlap)
        filters = self._filters.frames(first, last)
        samples = slice(first * self._hop, last * self._hop)
        voiced = self._network.decoder.voiced(filters, self._train[:, samples])
        speech = self._network.decoder.add_noise(voiced, filters, self._noise[:, samples])
        corrected = self._network.correction(speech, self._levels[:, first:last])[0]
        self._num_spoken = until + self._sound_from
        return corrected[(spoken - first) * self._hop : (until - first) * self._hop].clamp(-1, 1).numpy()

    def _forget(self) -> None:
        """Let go of everything that no later frame needs."""
        needed = max(0, self._num_final - self._network.decoder.context)
        self._latents = self._latents[:, needed - self._latents_from :]
        self._latents_from = needed
        needed = max(0, min(self._num_spoken - self._overlap, self._num_pulsed - 1))
        gone = needed - self._sound_from
        if gone > 0:
            self._filters = self._filters.frames(gone, self._num_final - self._sound_from)
            self._levels = self._levels[:, gone:]
            self._voice = Voice(self._voice.pitch[:, gone:], self._voice.voicing[:, gone:])
            self._train = self._train[:, gone * self._hop :]
            self._noise = self._noise[:, gone * self._hop :]
            self._sound_from = needed
