"""Types that describe model rows: fields in order, embedding tables, masks and heads.

A row is its fields in order; the last one is the output. The embedding of a field, the head of the output, the
attention mask and the distance from a hidden state to its prediction all follow from the layout; `placement.py`
computes the slots of a batch. The layouts themselves are declared by the tasks in `valle/tasks`.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class Mode(StrEnum):
    """Decoding mode of the output of a row."""

    AR = "ar"  # codebook 0, one group of frames after the other
    NAR_LEN = "nar-len"  # all elements at once, in several rounds of masking; the length is known
    NAR = "nar"  # codebook q >= 1, all frames at once, given the codebooks below
    TOKENS = "tokens"  # digits or phonemes, one after the other


class MaskKind(StrEnum):
    """Attention mask inside a row; padding is never attended to."""

    CAUSAL = "causal"
    FULL = "full"


class Table(StrEnum):
    """Embedding table of the elements of a field.

    Codebook 0 of the output has a table per mode: the table tells the trunk what to predict, and one shared table
    for AR and NAR-len was found to fail.
    """

    SYMBOLS = "symbols"
    BYTES = "bytes"  # UTF-8 bytes of a written text
    LANGUAGES = "languages"
    CODEBOOKS = "codebooks"
    TASKS = "tasks"
    DIGITS = "digits"
    PROMPT_CODES = "prompt_codes"
    NEXT_CODES = "next_codes"  # input of the AR
    MASKED_CODES = "masked_codes"  # input of NAR-len
    LOWER_CODES = "lower_codes"  # input of the NAR


class CodebookRange(StrEnum):
    """Codebooks of a field that are embedded, summed per frame, in a row that predicts codebook q.

    The conventions of a model may narrow BELOW and ALL; see `conventions.py`.
    """

    FIRST = "first"  # codebook 0
    GROUP = "group"  # codebook 0 of several consecutive frames, which share a slot
    BELOW = "below"  # codebooks 0 .. q-1
    ALL = "all"


class Head(StrEnum):
    """Output head for the hidden states of the output field."""

    CODES = "codes"  # one head per codebook
    MASKED = "masked"
    DIGITS = "digits"
    SYMBOLS = "symbols"
    BYTES = "bytes"


class Marker(StrEnum):
    """Entries of the table of tasks: a task, or a boundary of an edited span.

    The order and the number of entries are part of every checkpoint, so entries without a task stay reserved.
    """

    @property
    def id(self) -> int:
        """Return the id in the table of tasks."""
        return list(Marker).index(self)

    # Rows of a table in stored weights: a name that no task uses keeps its place.
    TTS_C = "tts-c"
    NS = "ns"
    SR = "sr"
    TSE = "tse"
    VC = "vc"
    STT = "stt"
    START_OF_EDIT = "soe"
    MASK = "mask"
    END_OF_EDIT = "eoe"


@dataclass(frozen=True, slots=True)
class LayoutField:
    """A field of a row: its name, its embedding table and, for codes, the codebooks that are embedded.

    Positions of a field with `has_text_stride` advance by the frames that a symbol lasts on average, those of
    grouped codes by the frames of a group, all others by 1. `codebooks` is None for ids. The elements of a field that
    `is_aligned` have no slots of their own: each is added to the slot of the same element of the output.
    """

    name: str
    table: Table
    codebooks: CodebookRange | None = None
    has_text_stride: bool = False
    is_aligned: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """One task in one decoding mode: its fields in order, of which the last is the output, and the output head."""

    task: str
    mode: Mode
    fields: tuple[LayoutField, ...]
    head: Head

    @property
    def output(self) -> LayoutField:
        """Return the field that is predicted."""
        return self.fields[-1]

    @property
    def sequence(self) -> tuple[LayoutField, ...]:
        """Return the fields that have slots of their own, in order."""
        return tuple(field for field in self.fields if not field.is_aligned)

    @property
    def aligned(self) -> tuple[LayoutField, ...]:
        """Return the fields whose elements are added to those of the output."""
        return tuple(field for field in self.fields if field.is_aligned)

    @property
    def mask(self) -> MaskKind:
        """Return the attention mask: causal where each element is predicted from those before it."""
        return MaskKind.CAUSAL if self.mode in (Mode.AR, Mode.TOKENS) else MaskKind.FULL

    @property
    def has_stop(self) -> bool:
        """Return whether the model predicts the end of the output."""
        return self.mask is MaskKind.CAUSAL

    @property
    def shift(self) -> int:
        """Return the distance from a slot to the element that its hidden state predicts: 1 when causal, else 0."""
        return int(self.mask is MaskKind.CAUSAL)

    @property
    def name(self) -> str:
        """Return task and mode, joined by a slash."""
        return f"{self.task}/{self.mode}"


TEXT = LayoutField("text", Table.SYMBOLS, has_text_stride=True)
LANGUAGE = LayoutField("language", Table.LANGUAGES)
CODEBOOK = LayoutField("codebook", Table.CODEBOOKS)
"""The codebook that a row predicts; filled in from `Row.codebook`."""
# All codebooks in every row: the speaker is audible only from codebook 1 on (decision 12).
PROMPT = LayoutField("prompt", Table.PROMPT_CODES, CodebookRange.ALL)
TASK_MARKER = LayoutField("<task>", Table.TASKS)
"""Names the task where the other fields do not tell it apart."""
DIGITS = LayoutField("digits", Table.DIGITS)
SPEECH = LayoutField("speech", Table.PROMPT_CODES, CodebookRange.ALL)
"""Speech that is transcribed."""
NEXT_TARGET = LayoutField("target", Table.NEXT_CODES, CodebookRange.GROUP)
MASKED_TARGET = LayoutField("target", Table.MASKED_CODES, CodebookRange.FIRST)
LOWER_TARGET = LayoutField("target", Table.LOWER_CODES, CodebookRange.BELOW)


@dataclass(frozen=True, slots=True)
class PositionStride:
    """Frames by which positions advance: from one symbol to the next, and from one group of codes to the next.

    Rows of imported weights have slots beside their elements: `null_text` in place of an absent text, and `begin`
    before an output of ids. With `joins_marker` no separator is between a prompt and the marker after it; without
    `restarts` positions count over the whole row.
    """

    text: float = 1.0
    group: int = 1
    null_text: int = 0
    begin: int = 0
    joins_marker: bool = False
    restarts: bool = True

    def of(self, field: LayoutField) -> float:
        """Return the frames from one element of a field to the next."""
        if field.codebooks is CodebookRange.GROUP:
            return float(self.group)
        return self.text if field.has_text_stride else 1.0

    def num_slots(self, layout: Layout, field: LayoutField, length: Ints) -> Ints:
        """Return the slots of `length` frames or ids; frames that do not fill a group are not yet an input."""
        if field is layout.output:
            length = length + self.num_begin(layout)
        elif field is TEXT:
            length = np.where(length == 0, self.null_text, length)
        return length // self.group if field.codebooks is CodebookRange.GROUP else length

    def num_begin(self, layout: Layout) -> int:
        """Return how many ids are given before the output of a layout."""
        return self.begin if layout.mode is Mode.TOKENS else 0

    def joins(self, layout: Layout, field: LayoutField) -> bool:
        """Return whether a field continues in the next one: no separator, and no restart of positions."""
        return self.joins_marker and field is PROMPT and TASK_MARKER in layout.fields
