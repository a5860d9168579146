"""Speech editing: fill a span of an utterance with other words, given the speech before and after it.

The codes of the right side are a field of the row, as in SpeechX (Wang et al., arXiv 2308.06873), so that the AR has
them too. The target of the AR begins with the left side, so that each frame is at the position of its text as in
text-to-speech, and ends with the span and the stop. In the modes that predict all frames at once the target is the
whole utterance, each frame at its own position, only the span is predicted, and both sides are fields, with all
codebooks.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from valle.codec.base import Codes
from valle.model.layout import (
    CODEBOOK,
    LANGUAGE,
    NEXT_TARGET,
    TASK_MARKER,
    TEXT,
    CodebookRange,
    Head,
    Ints,
    Layout,
    LayoutField,
    Marker,
    Mode,
    Table,
)
from valle.model.row import Elements
from valle.tasks.base import EpochRows, MixtureKind, ReadCodes, RowDraws, Sound, TaskItems, ones, text_fields
from valle.tasks.tts import SpeechTask, TtsOptions
from valle.tasks.words import choose_span

BEFORE = LayoutField("before", Table.PROMPT_CODES, CodebookRange.ALL)
AFTER = LayoutField("after", Table.PROMPT_CODES, CodebookRange.ALL)


class EditingOptions(TtsOptions):
    """Option of the training mix."""

    editing_ratio: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Ratio of rows that fill a span of words of an utterance; needs word times (`valle data align`).",
    )
    noisy_editing_ratio: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Ratio of rows that do so in noisy speech; needs word times and mixtures (`valle data mix`).",
    )


class EditingTask(SpeechTask):
    """Editing of a span; the text is that of the whole utterance, with the new words."""

    name = "cse"
    condition_fields = (TEXT, LANGUAGE, CODEBOOK, BEFORE, TASK_MARKER, AFTER)
    marker = Marker.MASK
    sound = Sound.SPEECH

    def __init__(self) -> None:
        super().__init__()
        ar_fields = tuple(field for field in self.condition_fields if field is not BEFORE)
        self.layouts = (Layout(self.name, Mode.AR, (*ar_fields, NEXT_TARGET), Head.CODES), *self.layouts[1:])

    def context_of_mode(
        self, context: Mapping[str, Elements], *, is_ar: bool, num_frames: int
    ) -> Mapping[str, Elements]:
        """Leave out the left side in AR rows, whose target begins with it."""
        return {name: elements for name, elements in context.items() if not is_ar or name != BEFORE.name}

    def context(self, before: Codes, after: Codes) -> Mapping[str, Codes]:
        """Return the codes of the task's own fields: all codebooks of both sides of the span."""
        return {BEFORE.name: before, AFTER.name: after}

    def ratio(self, options: EditingOptions) -> float:
        """Return the probability of the task among all rows."""
        return options.editing_ratio

    def loss_name(self, layout: Layout) -> str:
        """Return task and mode, such as `cse_ar`: the loss of a span is not that of an utterance."""
        return f"{self.name}_{super().loss_name(layout)}"

    def missing(self, items: TaskItems) -> str | None:
        """Return that no item has word times, if so."""
        return None if len(items.borders) else "no utterance has word times; run `valle data align` and select again"

    def accepts(self, items: TaskItems, rows: EpochRows) -> NDArray[np.bool_]:
        """Accept utterances of two words or more whose times are known."""
        return np.diff(items.border_starts)[rows.item] > 2

    def specialize(
        self, rows: EpochRows, draws: RowDraws, items: TaskItems, options: TtsOptions
    ) -> tuple[EpochRows, Ints]:
        """Choose the span of each row, at most half of its words; the rest of the utterance is its prompt."""
        start, frames = choose_span(items.borders, items.border_starts, rows.item, draws.span_first, draws.span_length)
        # Words that the alignment gave no time still have a frame, so that a row is never without a label.
        start = np.minimum(start, items.num_frames[rows.item] - 1)
        edited = dataclasses.replace(
            rows,
            prompt_item=np.full_like(rows.prompt_item, -1),
            prompt_start=np.zeros_like(rows.prompt_start),
            prompt_frames=np.zeros_like(rows.prompt_frames),
            span_start=start,
            span_frames=np.maximum(1, frames),
        )
        return super().specialize(edited, draws, items, options)

    def lengths(self, layout: Layout, items: TaskItems, rows: EpochRows) -> dict[str, Ints]:
        """Compute the length of each field."""
        whole, end = items.num_frames[rows.item], rows.span_start + rows.span_frames
        lengths = {
            "text": items.num_symbols[rows.item] * rows.has_text,
            "language": ones(rows),
            "codebook": ones(rows),
            TASK_MARKER.name: ones(rows),
            AFTER.name: whole - end,
        }
        if layout.mode is Mode.AR:
            return lengths | {"target": end}
        return lengths | {BEFORE.name: rows.span_start, "target": whole}

    def fields(
        self, layout: Layout, items: TaskItems, rows: EpochRows, index: int, read_codes: ReadCodes
    ) -> dict[str, Elements]:
        """Make the fields of a row."""
        codes = read_codes(int(rows.item[index]), None, self.sound)
        start = int(rows.span_start[index])
        end = start + int(rows.span_frames[index])
        fields = text_fields(items, rows, index) | self._marker | {AFTER.name: codes[:, end:]}
        if layout.mode is Mode.AR:
            return fields | {"target": codes[:, :end]}
        return fields | {BEFORE.name: codes[:, :start], "target": codes}


class NoisyEditingTask(EditingTask):
    """Editing of noisy speech: both sides and the new words have the noise of the recording."""

    name = "nse"
    marker = Marker.START_OF_EDIT
    sound = Sound.MIXTURE
    _KINDS = (MixtureKind.NOISE, MixtureKind.REVERB)

    def ratio(self, options: EditingOptions) -> float:
        """Return the probability of the task among all rows."""
        return options.noisy_editing_ratio

    def missing(self, items: TaskItems) -> str | None:
        """Return that no item has word times, or none a mixture, if so."""
        if np.isin(items.mixture_kinds, self._KINDS).any():
            return super().missing(items)
        return "no utterance has a mixture of kind noise or reverb; run `valle data mix` and select again"

    def accepts(self, items: TaskItems, rows: EpochRows) -> NDArray[np.bool_]:
        """Accept utterances with word times and a noisy mixture."""
        return super().accepts(items, rows) & np.isin(items.mixture_kinds[rows.item], self._KINDS)


EDITING = EditingTask()
NOISY_EDITING = NoisyEditingTask()
