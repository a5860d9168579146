"""What an utterance is spoken from, what comes of it, and the rows that the network reads on the way."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from valle.codec.base import Codes
from valle.model.batch import Batch, make_batch
from valle.model.layout import TASK_MARKER, Mode
from valle.model.row import Row
from valle.model.valle import ValleModel
from valle.tasks.continuation import CONTINUATION
from valle.tasks.tts import TTS, SpeechTask


@dataclass(frozen=True, slots=True)
class Condition:
    """What one utterance is spoken from: phoneme ids, language id, prompt codes [K, P] or None.

    `prefix` [K, n] are frames the target starts with; they are given, not spoken. Of the task `tts-c` the text begins
    with what the prompt says, and the target goes on where the prompt ends.
    """

    symbol_ids: NDArray[np.int64]
    language_id: int
    prompt: Codes | None
    prefix: Codes
    task: SpeechTask = TTS

    @property
    def num_prefix(self) -> int:
        """Frames that are given."""
        return self.prefix.shape[1]

    @property
    def num_said(self) -> int:
        """Frames in which a part of the text was said before."""
        if self.task is TTS or self.prompt is None:
            return self.num_prefix
        return self.prompt.shape[1] + self.num_prefix

    def without_text(self) -> "Condition":
        """What guidance leads away from: no text and no prompt, except one that is gone on from."""
        prompt = self.prompt if self.task is CONTINUATION else None
        return replace(self, symbol_ids=self.symbol_ids[:0], prompt=prompt)

    def row(self, level: int, target: Codes, masked: NDArray[np.bool_] | None = None) -> Row:
        """A row of one level."""
        return self.task.row(self.symbol_ids, self.language_id, level, self.prompt, target, masked)


@dataclass(frozen=True, slots=True)
class Decoded:
    """Codes [K, T] without the prefix, and whether they end because the model said so or at a length it was given."""

    codes: Codes
    is_complete: bool


def speech_batch(model: ValleModel, mode: Mode, rows: Sequence[Row]) -> Batch:
    """Rows of text-to-speech, all of one task, on the device of the model."""
    task = CONTINUATION if TASK_MARKER.name in rows[0].fields else TTS
    return make_batch(task.layout(mode), rows, model.config).to(device_of(model))


def device_of(model: ValleModel) -> torch.device:
    """Where the model is."""
    return model.separator.device


def seeded(seed: int) -> torch.Generator:
    """The random numbers of one utterance, which depend on nothing but its seed."""
    return torch.Generator().manual_seed(seed)
