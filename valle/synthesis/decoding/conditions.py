"""Inputs and outputs of decoding, and the rows that the network reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from valle.model.batch import Batch, make_batch
from valle.tasks.continuation import CONTINUATION
from valle.tasks.tts import TTS, SpeechTask

if TYPE_CHECKING:
    from valle.codec.base import Codes
    from valle.model.layout import Mode
    from valle.model.row import Elements, Row
    from valle.model.valle import ValleModel
    from valle.synthesis.options import SamplingOptions


@dataclass(frozen=True, slots=True)
class Condition:
    """Input of one utterance: phoneme ids, language id, prompt codes [K, P] or None.

    `prefix` [K, n] are given frames that the target starts with, `suffix` [K, m] those that it ends with. In the task
    `tts-c` the text begins with the text of the prompt, and the target continues the prompt. `context` has the elements
    of fields that only `task` has, `draft` the codes that masked decoding starts from, `adapters` those in use with
    their strengths. The first `num_silent` frames of the prefix are no speech.
    """

    symbol_ids: NDArray[np.int64]
    language_id: int
    prompt: Codes | None
    prefix: Codes
    task: SpeechTask = TTS
    adapters: tuple[tuple[str, float], ...] = ()
    suffix: Codes | None = None
    context: Mapping[str, Elements] = field(default_factory=dict)
    draft: Draft | None = None
    num_silent: int = 0

    @property
    def num_prefix(self) -> int:
        """Number of given frames at the start."""
        return self.prefix.shape[1]

    @property
    def given_end(self) -> Codes:
        """Given frames at the end, [K, m]."""
        return self.prefix[:, :0] if self.suffix is None else self.suffix

    @property
    def num_spoken(self) -> int:
        """Number of frames already spoken of the text: the given ones, and in a continuation the prompt."""
        given = self.num_prefix - self.num_silent + self.given_end.shape[1]
        return given + (self.prompt.shape[1] if self.task is CONTINUATION and self.prompt is not None else 0)

    def average_frames(self, frames_per_symbol: float) -> float:
        """Return the average number of frames of a text with as many symbols."""
        # `<bos>` and `<eos>` are not spoken.
        return max(1, len(self.symbol_ids) - 2) * frames_per_symbol

    def without_text(self) -> Condition:
        """Return the unconditional input of guidance: no text and no prompt, except a prompt that is continued."""
        prompt = self.prompt if self.task is CONTINUATION else None
        context = self.task.without_text(self.context)
        return replace(self, symbol_ids=self.symbol_ids[:0], prompt=prompt, context=context)

    def row(self, codebook: int, target: Codes, masked: NDArray[np.bool_] | None = None) -> Row:
        """Build the row that predicts one codebook."""
        return self.task.row(
            self.symbol_ids, self.language_id, codebook, self.prompt, target, masked, context=self.context
        )


@dataclass(frozen=True, slots=True)
class Draft:
    """Codes that masked decoding draws over, [K, T], and the part of the schedule that is skipped (0 to 1).

    The more is skipped, the fewer frames are masked in the first round: 0 keeps nothing of the draft.
    """

    codes: Codes
    skipped: float


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


def speech_batch(model: ValleModel, task: SpeechTask, mode: Mode, rows: Sequence[Row]) -> Batch:
    """Collate rows of one task on the device of the model."""
    return make_batch(task.layout(mode), rows, model.config).to(model.device)
