"""Tasks from one recording to another of the same length: suppression, removal, extraction, conversion.

The given recording, a mixture of the stage `mix`, has all its codebooks in the row. The AR reads it before the target,
as SpeechX (Wang et al., arXiv 2308.06873) does. In the modes that predict all frames at once each frame of the mixture
is added to the frame of the target in the same place, which small models learn within hundreds of updates where they do
not find it by attention in thousands (decision 59). A subclass names the kinds of mixtures it learns from, its marker
and what it makes of them.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from valle.codec.base import Codes
from valle.model.layout import (
    CODEBOOK,
    LANGUAGE,
    PROMPT,
    TASK_MARKER,
    TEXT,
    CodebookRange,
    Ints,
    Layout,
    LayoutField,
    Marker,
    Mode,
    Table,
)
from valle.model.row import Elements
from valle.tasks.base import (
    EpochRows,
    MixtureKind,
    ReadCodes,
    RowDraws,
    Sound,
    TaskItems,
    prompt_field,
    text_fields,
)
from valle.tasks.tts import SpeechTask, TtsOptions

MIXTURE = LayoutField("mixture", Table.PROMPT_CODES, CodebookRange.ALL)
ALIGNED_MIXTURE = dataclasses.replace(MIXTURE, is_aligned=True)


class MixtureTask(SpeechTask):
    """A task that is given a recording and returns another of the same length, with or without its text."""

    condition_fields = (TEXT, LANGUAGE, CODEBOOK, PROMPT, TASK_MARKER, MIXTURE)
    marker: Marker
    kinds: tuple[MixtureKind, ...]
    output = Sound.SPEECH
    needs_prompt = False
    text_ratio = 0.5
    """Ratio of rows with a text: decoding works with and without one."""

    @property
    def speaks(self) -> bool:
        """True if the output is speech; the words of a recording bring its speech back where it is removed."""
        return self.output is Sound.SPEECH

    def __init__(self) -> None:
        super().__init__()
        self.layouts = tuple(layout if layout.mode is Mode.AR else _with_aligned(layout) for layout in self.layouts)

    def context_of_mode(
        self, context: Mapping[str, Elements], *, is_ar: bool, num_frames: int
    ) -> Mapping[str, Elements]:
        """Give the mixture the length of the target where frames are aligned.

        The AR decides itself where speech ends. What is missing of the mixture then is its last frame, repeated.
        """
        if is_ar:
            return context
        mixture = context[MIXTURE.name]
        place = np.minimum(np.arange(num_frames), mixture.shape[-1] - 1)
        return {**context, MIXTURE.name: mixture[:, place]}

    def context(self, mixture: Codes) -> Mapping[str, Codes]:
        """Return the codes of the task's own field."""
        return {MIXTURE.name: mixture}

    def loss_name(self, layout: Layout) -> str:
        """Return task and mode, such as `ns_ar`."""
        return f"{self.name}_{super().loss_name(layout)}"

    def missing(self, items: TaskItems) -> str | None:
        """Return that no item has a mixture of the kinds of the task, if so."""
        if np.isin(items.mixture_kinds, self.kinds).any():
            return None
        kinds = " or ".join(kind.name.lower() for kind in self.kinds)
        return f"no utterance has a mixture of kind {kinds}; run `valle data mix` and select again"

    def accepts(self, items: TaskItems, rows: EpochRows) -> NDArray[np.bool_]:
        """Accept items with such a mixture, and with a prompt where the task needs one."""
        is_mixed = np.isin(items.mixture_kinds[rows.item], self.kinds)
        return is_mixed & (rows.prompt_frames > 0) if self.needs_prompt else is_mixed

    def specialize(
        self, rows: EpochRows, draws: RowDraws, items: TaskItems, options: TtsOptions
    ) -> tuple[EpochRows, Ints]:
        """Remove some of the texts, and the prompts unless the task needs them."""
        # The number of another task: a row has one task, so no row uses it twice.
        has_text = rows.has_text & (draws.span_first < self.text_ratio)
        mixed = dataclasses.replace(rows, has_text=has_text)
        if not self.needs_prompt:
            mixed = dataclasses.replace(
                mixed,
                prompt_item=np.full_like(rows.prompt_item, -1),
                prompt_start=np.zeros_like(rows.prompt_start),
                prompt_frames=np.zeros_like(rows.prompt_frames),
            )
        return super().specialize(mixed, draws, items, options)

    def lengths(self, layout: Layout, items: TaskItems, rows: EpochRows) -> dict[str, Ints]:
        """Compute the length of each field."""
        return super().lengths(layout, items, rows) | {MIXTURE.name: items.num_frames[rows.item]}

    def fields(
        self, layout: Layout, items: TaskItems, rows: EpochRows, index: int, read_codes: ReadCodes
    ) -> dict[str, Elements]:
        """Make the fields of a row."""
        codebook, item = int(rows.codebook[index]), int(rows.item[index])
        target = read_codes(item, codebook + 1, self.output)
        fields = text_fields(items, rows, index) | prompt_field(rows, index, read_codes) | self._marker
        return {**fields, **self.context(read_codes(item, None, Sound.MIXTURE)), "target": target}


def _with_aligned(layout: Layout) -> Layout:
    fields = tuple(ALIGNED_MIXTURE if field is MIXTURE else field for field in layout.fields)
    return dataclasses.replace(layout, fields=fields)
