"""Continuation: speak the rest of an utterance whose beginning is the prompt; the text covers both."""

import dataclasses

import numpy as np
from pydantic import Field

from valle.model.layout import TASK_MARKER, Ints, Layout, Marker
from valle.model.row import Elements
from valle.tasks.base import EpochRows, RowDraws, TaskItems, ones
from valle.tasks.tts import SpeechTask, TtsOptions


class ContinuationOptions(TtsOptions):
    """Option of the training mix."""

    continuation_ratio: float = Field(
        default=0.0, ge=0, le=1, description="Ratio of rows that continue the beginning of their own utterance."
    )


class ContinuationTask(SpeechTask):
    """Continuation of the beginning of the same utterance. The task marker tells it apart from text-to-speech."""

    name = "tts-c"
    min_frames = 2
    extra_fields = (TASK_MARKER,)

    def ratio(self, options: ContinuationOptions) -> float:
        """Return the probability of the task among all rows."""
        return options.continuation_ratio

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

    def lengths(self, layout: Layout, items: TaskItems, rows: EpochRows) -> dict[str, Ints]:
        """Compute the length of each field."""
        return super().lengths(layout, items, rows) | {TASK_MARKER.name: ones(rows)}

    def _extra(self) -> dict[str, Elements]:
        return {TASK_MARKER.name: np.array([Marker.TTS_C.id])}


CONTINUATION = ContinuationTask()
