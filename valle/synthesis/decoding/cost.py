"""Measure the cost of decoding: frames a CPU second, and the memory that it keeps of an utterance."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from valle.model.batch import make_batch
from valle.model.layout import Mode
from valle.model.trunks.recurrence import StateCache
from valle.tasks.tts import TTS

if TYPE_CHECKING:
    from valle.model.valle import ValleModel

_SYMBOLS = 60
_PROMPT_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class DecodingCost:
    """Frames a second of CPU time of the AR on this process's threads, and bytes kept after the last frame."""

    frames_per_second: float
    num_bytes: int


class TimedUtterance:
    """An utterance of random codes whose AR frames are computed, without sampling, and timed.

    Its condition has 60 symbols and a prompt of three seconds.
    """

    def __init__(self, model: ValleModel) -> None:
        rng, config = np.random.default_rng(0), model.config
        frames = round(_PROMPT_SECONDS * config.frame_rate)
        prompt = rng.integers(0, config.codebook_size, (config.num_codebooks, frames)).astype(np.int16)
        row = TTS.row(rng.integers(4, config.num_symbols, _SYMBOLS), 0, 0, prompt, prompt[:1, :0])
        self._model, self._layout, self._steps = model, TTS.layout(Mode.AR), 0
        self._cache = model.new_cache()
        model.prefill(make_batch(self._layout, [row], config), self._cache)
        assert self._cache.lengths is not None, "the condition was read"
        self._given = int(self._cache.lengths[0])

    def decode(self, frames: int) -> float:
        """Decode further frames, a group a step; returns the CPU seconds."""
        group = self._model.config.predictions_of(self._layout)
        codes = torch.zeros(1, group, dtype=torch.long)
        steps = range(self._steps, self._steps + frames // self._model.config.group)
        started = time.process_time()
        for index in steps:
            self._model.step(self._layout, codes, torch.tensor([index]), self._cache)
        self._steps = steps.stop
        return time.process_time() - started

    @property
    def num_bytes(self) -> int:
        """Return the bytes that decoding keeps of this utterance, without room for further frames."""
        if isinstance(self._cache, StateCache):
            return self._cache.num_bytes
        config = self._model.config
        output = self._steps if not config.max_context else min(self._steps, config.max_context // config.group)
        each = 2 * config.num_kv_heads * (config.width // config.heads) * self._model.separator.element_size()
        return (self._given + output) * config.depth * each


@torch.inference_mode()
def measure_decoding(model: ValleModel, frames: int = 1500) -> DecodingCost:
    """Decode frames of random codes with a model in evaluation mode on the CPU, and return what they cost."""
    utterance = TimedUtterance(model)
    seconds = utterance.decode(frames)
    return DecodingCost(frames / max(seconds, 1e-9), utterance.num_bytes)
