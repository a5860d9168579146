"""The tasks that a run can train.

To add a task, write its module, list the task in `TASKS` and its options in `TaskOptions`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from valle.model.layout import Layout
from valle.tasks.base import Task
from valle.tasks.continuation import CONTINUATION, ContinuationOptions
from valle.tasks.editing import EDITING, NOISY_EDITING, EditingOptions
from valle.tasks.length import LENGTH, LengthOptions
from valle.tasks.mixtures.conversion import CONVERSION, SINGING, ConversionOptions
from valle.tasks.mixtures.extraction import EXTRACTION, ExtractionOptions
from valle.tasks.mixtures.removal import REMOVAL, RemovalOptions
from valle.tasks.mixtures.suppression import SUPPRESSION, SuppressionOptions
from valle.tasks.spelling import PHONEMES, RAW_TEXT, SPELLING, SpellingOptions
from valle.tasks.transcription import TRANSCRIPTION, TranscriptionOptions
from valle.tasks.tts import TTS, TtsOptions


class TaskOptions(
    SpellingOptions,
    SuppressionOptions,
    RemovalOptions,
    ExtractionOptions,
    ConversionOptions,
    EditingOptions,
    TranscriptionOptions,
    LengthOptions,
    ContinuationOptions,
    TtsOptions,
):
    """Options of all tasks; the ratios add up to at most 1, and text-to-speech takes the rest."""


@dataclass(frozen=True, slots=True)
class TaskRegistry:
    """Tasks of a run, in the order in which the training mix draws them; the last one takes the remaining rows."""

    tasks: tuple[Task[TaskOptions], ...]

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """Return the layouts of all tasks; `EpochRows.layout` is an index into them."""
        return tuple(layout for task in self.tasks for layout in task.layouts)

    def task_of(self, layout: Layout) -> Task[TaskOptions]:
        """Return the task that a layout belongs to."""
        return next(task for task in self.tasks if task.name == layout.task)

    def ratios(self, options: TaskOptions) -> Sequence[float]:
        """Return the probability of each task but the last."""
        # The last task has no ratio of its own, so that the options need not add up to 1.
        return [task.ratio(options) for task in self.tasks[:-1]]


# The order decides which random number draws which task: new tasks go before text-to-speech.
TASKS = TaskRegistry(
    (
        LENGTH,
        TRANSCRIPTION,
        CONTINUATION,
        EDITING,
        NOISY_EDITING,
        SUPPRESSION,
        REMOVAL,
        EXTRACTION,
        CONVERSION,
        SINGING,
        PHONEMES,
        SPELLING,
        RAW_TEXT,
        TTS,
    )
)


def learnt_tasks(options: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the tasks that a training with these options learnt; options that are missing are defaults.

    Text-to-speech is one of them: it takes the rows that no other task takes.
    """
    known = {name: value for name, value in options.items() if name in TaskOptions.model_fields}
    mix = TaskOptions.model_validate(known)
    return frozenset(task.name for task in TASKS.tasks if task.ratio(mix) > 0)
