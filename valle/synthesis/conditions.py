"""What an utterance is spoken from, what comes of it, and the rows that the network reads on the way."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from valle.codec.base import Codes
from valle.model import Batch, Mode, Row, Task, ValleModel, make_batch, speech_row


@dataclass(frozen=True, slots=True)
class Condition:
    """What one utterance is spoken from: phoneme ids, language id, prompt codes [K, P] or None.

    `prefix` [K, n] are frames the target starts with; they are given, not spoken.
    """

    symbol_ids: NDArray[np.int64]
    language_id: int
    prompt: Codes | None
    prefix: Codes

    @property
    def num_prefix(self) -> int:
        """Frames that are given."""
        return self.prefix.shape[1]

    def without_text(self) -> "Condition":
        """The same with neither text nor prompt: what guidance leads away from."""
        return replace(self, symbol_ids=self.symbol_ids[:0], prompt=None)

    def row(self, level: int, target: Codes, masked: NDArray[np.bool_] | None = None) -> Row:
        """A row of one level."""
        return speech_row(self.symbol_ids, self.language_id, level, self.prompt, target, masked)


@dataclass(frozen=True, slots=True)
class Decoded:
    """Codes [K, T] without the prefix, and whether they end because the model said so or at a length it was given."""

    codes: Codes
    is_complete: bool


def speech_batch(model: ValleModel, mode: Mode, rows: Sequence[Row]) -> Batch:
    """Rows of text-to-speech, on the device of the model."""
    return make_batch(Task.TTS, mode, rows, model.config).to(device_of(model))


def device_of(model: ValleModel) -> torch.device:
    """Where the model is."""
    return model.separator.device


def seeded(seed: int) -> torch.Generator:
    """The random numbers of one utterance, which depend on nothing but its seed."""
    return torch.Generator().manual_seed(seed)
