"""Inputs and outputs of decoding, and the rows that the network reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from valle.codec.base import Codes
from valle.model.batch import Batch, make_batch
from valle.model.layout import TASK_MARKER, Mode
from valle.model.row import Row
from valle.synthesis.options import SamplingOptions
from valle.tasks.continuation import CONTINUATION
from valle.tasks.tts import TTS, SpeechTask

if TYPE_CHECKING:
    from valle.model.valle import ValleModel


@dataclass(frozen=True, slots=True)
class Condition:
    """Input of one utterance: phoneme ids, language id, prompt codes [K, P] or None.

    `prefix` [K, n] are given frames that the target starts with. In the task `tts-c` the text begins with the text of
    the prompt, and the target continues the prompt.
    """

    symbol_ids: NDArray[np.int64]
    language_id: int
    prompt: Codes | None
    prefix: Codes
    task: SpeechTask = TTS

    @property
    def num_prefix(self) -> int:
        """Number of given frames."""
        return self.prefix.shape[1]

    @property
    def num_spoken(self) -> int:
        """Number of frames already spoken of the text: the prefix, and in a continuation the prompt."""
        if self.task is TTS or self.prompt is None:
            return self.num_prefix
        return self.prompt.shape[1] + self.num_prefix

    def average_frames(self, frames_per_symbol: float) -> float:
        """Return the average number of frames of a text with as many symbols."""
        # `<bos>` and `<eos>` are not spoken.
        return max(1, len(self.symbol_ids) - 2) * frames_per_symbol

    def without_text(self) -> Condition:
        """Return the unconditional input of guidance: no text and no prompt, except a prompt that is continued."""
        prompt = self.prompt if self.task is CONTINUATION else None
        return replace(self, symbol_ids=self.symbol_ids[:0], prompt=prompt)

    def row(self, codebook: int, target: Codes, masked: NDArray[np.bool_] | None = None) -> Row:
        """Build the row that predicts one codebook."""
        return self.task.row(self.symbol_ids, self.language_id, codebook, self.prompt, target, masked)


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance to decode."""

    condition: Condition
    options: SamplingOptions


@dataclass(frozen=True, slots=True)
class Decoded:
    """Codes [K, T] without the prefix; `is_complete` is False when the longest duration cut them."""

    codes: Codes
    is_complete: bool


def speech_batch(model: ValleModel, mode: Mode, rows: Sequence[Row]) -> Batch:
    """Collate rows of one task on the device of the model."""
    task = CONTINUATION if TASK_MARKER.name in rows[0].fields else TTS
    return make_batch(task.layout(mode), rows, model.config).to(model.device)
