"""Continuation: speak the rest of an utterance whose beginning is the prompt; the text covers both."""

import dataclasses

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from valle.model.layout import TASK_MARKER, Ints, Marker
from valle.tasks.base import EpochRows, RowDraws, TaskItems
from valle.tasks.tts import SpeechTask, TtsOptions


class ContinuationOptions(TtsOptions):
    """Option of the training mix."""

    continuation_ratio: float = Field(
        default=0.0, ge=0, le=1, description="Ratio of rows that continue the beginning of their own utterance."
    )


class ContinuationTask(SpeechTask):
    """Continuation of the beginning of the same utterance. The task marker tells it apart from text-to-speech."""

    name = "tts-c"
    condition_fields = (*SpeechTask.condition_fields, TASK_MARKER)
    marker = Marker.TTS_C

    def ratio(self, options: ContinuationOptions) -> float:
        """Return the probability of the task among all rows."""
        return options.continuation_ratio

    def accepts(self, items: TaskItems, rows: EpochRows) -> NDArray[np.bool_]:
        """Accept utterances that can be cut in two."""
        return items.num_frames[rows.item] >= 2

    def specialize(
        self, rows: EpochRows, draws: RowDraws, items: TaskItems, options: TtsOptions
    ) -> tuple[EpochRows, Ints]:
        """Make the beginning of each utterance, at most half of it, its prompt."""
        # `prompt_frames` of the rows is cut to the length of another utterance; the drawn length is not.
        frames = np.minimum(draws.prompt_frames, items.num_frames[rows.item] // 2)
        continued = dataclasses.replace(
            rows,
            prompt_item=rows.item,
            prompt_start=np.zeros_like(frames),
            prompt_frames=frames,
            target_start=frames,
        )
        return super().specialize(continued, draws, items, options)


CONTINUATION = ContinuationTask()
