"""Text-to-speech: speak a text as the speaker of a prompt (VALL-E, Wang et al., arXiv 2301.02111)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from valle.model.layout import (
    CODEBOOK,
    LANGUAGE,
    LOWER_TARGET,
    MASKED_TARGET,
    NEXT_TARGET,
    PROMPT,
    TASK_MARKER,
    TEXT,
    Head,
    Ints,
    Layout,
    LayoutField,
    Marker,
    Mode,
)
from valle.model.row import Elements, Row
from valle.tasks.base import (
    EpochRows,
    ReadCodes,
    RowDraws,
    TakesEveryRow,
    TaskItems,
    condition_lengths,
    ones,
    prompt_field,
    text_fields,
)

if TYPE_CHECKING:
    from valle.codec.base import Codes


class TtsOptions(BaseModel):
    """Options of tasks whose output is speech."""

    nar_len_ratio: float = Field(
        default=0.3, ge=0, le=1, description="Ratio of codebook 0 rows that NAR-len learns from masks; the rest are AR."
    )


class SpeechTask(TakesEveryRow):
    """A task whose output is speech. Rows of codebook 0 are AR or NAR-len, those of the other codebooks NAR.

    A subclass names its own fields before the target; where `marker` is given, one of them is the task marker.
    """

    name: str
    condition_fields: tuple[LayoutField, ...] = (TEXT, LANGUAGE, CODEBOOK, PROMPT)
    marker: Marker | None = None

    def __init__(self) -> None:
        self.layouts: tuple[Layout, ...] = (
            Layout(self.name, Mode.AR, (*self.condition_fields, NEXT_TARGET), Head.CODES),
            Layout(self.name, Mode.NAR_LEN, (*self.condition_fields, MASKED_TARGET), Head.MASKED),
            Layout(self.name, Mode.NAR, (*self.condition_fields, LOWER_TARGET), Head.CODES),
        )

    def layout(self, mode: Mode) -> Layout:
        """Return the layout of a mode."""
        return next(layout for layout in self.layouts if layout.mode is mode)

    def row(
        self,
        symbol_ids: Ints,
        language_id: int,
        codebook: int,
        prompt: Codes | None,
        target: Codes,
        masked: NDArray[np.bool_] | None = None,
        context: Mapping[str, Elements] = MappingProxyType({}),
    ) -> Row:
        """Make a row from its parts, for decoding.

        `masked` [T] marks the hidden frames of a NAR-len row, `context` has the elements of the task's own fields.
        """
        fields: dict[str, Elements] = {"language": np.array([language_id]), "target": target}
        if len(symbol_ids):  # an empty field is no field, and a task without phonemes has none
            fields["text"] = symbol_ids
        if prompt is not None:
            fields["prompt"] = prompt
        own = self.context_of_mode(context, is_ar=codebook == 0 and masked is None, num_frames=target.shape[1])
        return Row(codebook, fields | self._marker | dict(own), masked)

    def context_of_mode(
        self, context: Mapping[str, Elements], *, is_ar: bool, num_frames: int
    ) -> Mapping[str, Elements]:
        """Return the task's own fields as a row of a mode has them, whose target has `num_frames`: all, by default."""
        return context

    def without_text(self, context: Mapping[str, Elements]) -> Mapping[str, Elements]:
        """Return the part of the task's own fields that the unconditional input of guidance keeps: all, by default."""
        return context

    def loss_name(self, layout: Layout) -> str:
        """Return the mode: `ar`, `nar_len` or `nar`."""
        return layout.mode.replace("-", "_")

    def specialize(
        self, rows: EpochRows, draws: RowDraws, items: TaskItems, options: TtsOptions
    ) -> tuple[EpochRows, Ints]:
        """Choose the mode of each row."""
        # Indices into `layouts`: AR, NAR-len and NAR.
        first = np.where(draws.mode < options.nar_len_ratio, 1, 0)
        return rows, np.where(rows.codebook > 0, 2, first).astype(np.int64)

    def lengths(self, layout: Layout, items: TaskItems, rows: EpochRows) -> dict[str, Ints]:
        """Compute the length of each field."""
        lengths = condition_lengths(items, rows) | {"target": items.num_frames[rows.item] - rows.target_start}
        return lengths if self.marker is None else lengths | {TASK_MARKER.name: ones(rows)}

    def fields(
        self, layout: Layout, items: TaskItems, rows: EpochRows, index: int, read_codes: ReadCodes
    ) -> dict[str, Elements]:
        """Make the fields of a row; the target has at least the codebooks up to the predicted one."""
        codebook, start = int(rows.codebook[index]), int(rows.target_start[index])
        # An AR row of codebook 0 reads it alone, an eighth of the bytes.
        target = read_codes(int(rows.item[index]), codebook + 1)[:, start:]
        fields = text_fields(items, rows, index) | prompt_field(rows, index, read_codes)
        return fields | self._marker | {"target": target}

    @cached_property
    def _marker(self) -> dict[str, Elements]:
        return {} if self.marker is None else {TASK_MARKER.name: np.array([self.marker.id])}


class TtsTask(SpeechTask):
    """Text-to-speech: text, language, codebook, prompt, target."""

    name = "tts"

    def ratio(self, options: TtsOptions) -> float:
        """Return 1: text-to-speech takes every row that no other task takes."""
        return 1.0


TTS = TtsTask()
