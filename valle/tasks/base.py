"""The interface of a task, and the sampled rows that tasks fill in.

A task owns its layouts, its option of the training mix, the fields of its rows and their lengths. Sampler, collator,
metrics and decoding use it through this interface; a new task is a module beside this one and an entry in
`registry.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from valle.codec.base import Codes
    from valle.model.layout import Ints, Layout
    from valle.model.row import Elements


class Sound(StrEnum):
    """Whose codes a task reads: of the speech, of its mixture, or of what was added to it."""

    SPEECH = "speech"
    MIXTURE = "mixture"
    INTERFERENCE = "interference"


class MixtureKind(IntEnum):
    """Kinds of mixtures; the names in lower case are those of the column `kind`."""

    NONE = 0
    NOISE = 1
    REVERB = 2
    SPEAKER = 3
    VOICE = 4


class ReadCodes(Protocol):
    """A reader of the codes of the items of a training split."""

    def __call__(self, item: int, num_codebooks: int | None, sound: Sound = Sound.SPEECH) -> Codes:
        """Read at least `num_codebooks` of an item, all for None: codes [K', T]."""


class TaskItems(Protocol):
    """The columns of a training split that tasks read; see `valle.data.items.items.Items`."""

    @property
    def num_frames(self) -> Ints:
        """Frames of each item."""

    @property
    def num_symbols(self) -> Ints:
        """Symbols of each item, `<bos>` and `<eos>` included."""

    @property
    def language_ids(self) -> Ints:
        """Language id of each item."""

    @property
    def borders(self) -> Ints:
        """Frames between the words of all items, one item after the other: n + 1 for n words."""

    @property
    def border_starts(self) -> Ints:
        """Index of the first border of each item, [items + 1]; an item without word times has no border."""

    @property
    def mixture_kinds(self) -> Ints:
        """Kind of the mixture of each item, a `MixtureKind`."""

    @property
    def num_bytes(self) -> Ints:
        """Bytes of the written text of each item, 0 without one."""

    def bytes_of(self, item: int) -> Ints:
        """Return the UTF-8 bytes of the written text of an item."""

    def symbols_of(self, item: int) -> Ints:
        """Return the symbol ids of an item, from `<bos>` to `<eos>`."""


@dataclass(frozen=True, slots=True)
class EpochRows:
    """Sampled rows of an epoch, each column [rows].

    `layout` is an index into the layouts of the registry. `prompt_item` is -1 and `prompt_frames` 0 for a row without
    a prompt. The target begins at frame `target_start` of its item. `mask_ratio` is that of a NAR-len row. A row that
    fills a span of its item has `span_frames` above 0.
    """

    item: Ints
    copy: Ints
    layout: Ints
    codebook: Ints
    has_text: NDArray[np.bool_]
    prompt_item: Ints
    prompt_start: Ints
    prompt_frames: Ints
    target_start: Ints
    mask_ratio: NDArray[np.float64]
    span_start: Ints
    span_frames: Ints

    def __len__(self) -> int:
        return len(self.item)

    def take(self, index: NDArray[np.int64]) -> EpochRows:
        """Select rows by index."""
        return EpochRows(**{column.name: getattr(self, column.name)[index] for column in dataclasses.fields(self)})


def merge_rows(pieces: Sequence[tuple[NDArray[np.int64], EpochRows]]) -> EpochRows:
    """Put pieces back together: each is the index of its rows in the whole, and the rows."""
    size = sum(len(index) for index, _ in pieces)
    columns = {}
    for column in dataclasses.fields(EpochRows):
        # Every row belongs to exactly one piece, so nothing stays uninitialized.
        whole = np.empty(size, dtype=getattr(pieces[0][1], column.name).dtype)
        for index, rows in pieces:
            whole[index] = getattr(rows, column.name)
        columns[column.name] = whole
    return EpochRows(**columns)


@dataclass(frozen=True, slots=True)
class RowDraws:
    """Random numbers that a task may interpret, [rows] each.

    `mode`, `span_first` and `span_length` are uniform in [0, 1); `prompt_frames` are prompt lengths before they are cut
    to the length of an utterance.
    """

    mode: NDArray[np.float64]
    prompt_frames: Ints
    span_first: NDArray[np.float64]
    span_length: NDArray[np.float64]

    def take(self, index: Ints) -> RowDraws:
        """Select rows by index."""
        return RowDraws(**{column.name: getattr(self, column.name)[index] for column in dataclasses.fields(self)})


Options_contra = TypeVar("Options_contra", contravariant=True)


class Task(Protocol[Options_contra]):
    """A kind of model rows: their fields, ratio, mode and loss."""

    @property
    def name(self) -> str:
        """Name of the task in layouts."""

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """Layouts of its rows, one per mode that it is trained in."""

    def ratio(self, options: Options_contra) -> float:
        """Return the probability of the task among all rows."""

    def missing(self, items: TaskItems) -> str | None:
        """Return what a training set lacks for the task and how to get it; None when it lacks nothing."""

    def accepts(self, items: TaskItems, rows: EpochRows) -> NDArray[np.bool_]:
        """Return for each row whether its item has what the task needs; other rows become text-to-speech."""

    def loss_name(self, layout: Layout) -> str:
        """Return the name of the loss of one of its layouts in metrics."""

    def specialize(
        self, rows: EpochRows, draws: RowDraws, items: TaskItems, options: Options_contra
    ) -> tuple[EpochRows, Ints]:
        """Turn rows sampled for text-to-speech into rows of this task; returns them and an index into `layouts`."""

    def lengths(self, layout: Layout, items: TaskItems, rows: EpochRows) -> dict[str, Ints]:
        """Compute the frames or ids of each field of rows of a layout, without reading codes: by name, [rows]."""

    def fields(
        self, layout: Layout, items: TaskItems, rows: EpochRows, index: int, read_codes: ReadCodes
    ) -> dict[str, Elements]:
        """Make the fields of one row; their lengths are those of `lengths`."""


class TakesEveryRow:
    """Base of the tasks that need no more than the text and the codes of an utterance, which every training set has."""

    def missing(self, items: TaskItems) -> str | None:
        """Return None."""
        return None

    def accepts(self, items: TaskItems, rows: EpochRows) -> NDArray[np.bool_]:
        """Accept every row."""
        return np.ones(len(rows), dtype=bool)


def ones(rows: EpochRows) -> Ints:
    """Return the length of a field with one element in every row."""
    return np.ones(len(rows), dtype=np.int64)


def text_fields(items: TaskItems, rows: EpochRows, index: int) -> dict[str, Elements]:
    """Make the fields `text`, when the row has one, and `language`."""
    item = int(rows.item[index])
    fields: dict[str, Elements] = {"language": items.language_ids[item : item + 1]}
    if rows.has_text[index]:
        fields["text"] = items.symbols_of(item)
    return fields


def prompt_field(rows: EpochRows, index: int, read_codes: ReadCodes) -> dict[str, Elements]:
    """Make the field `prompt` from all codebooks of the prompt's item, when the row has one."""
    start, count = int(rows.prompt_start[index]), int(rows.prompt_frames[index])
    if not count:
        return {}
    return {"prompt": read_codes(int(rows.prompt_item[index]), None)[:, start : start + count]}


def condition_lengths(items: TaskItems, rows: EpochRows) -> dict[str, Ints]:
    """Compute the lengths of the fields text, language, codebook and prompt."""
    return {
        "text": items.num_symbols[rows.item] * rows.has_text,
        "language": ones(rows),
        "codebook": ones(rows),
        "prompt": rows.prompt_frames,
    }


def without_prompt(rows: EpochRows) -> EpochRows:
    """Return rows of codebook 0 with a text and without a prompt: those of tasks whose output is no speech."""
    return dataclasses.replace(
        rows,
        codebook=np.zeros_like(rows.codebook),
        # Text dropout is for the guidance of speech.
        has_text=np.ones_like(rows.has_text),
        prompt_item=np.full_like(rows.prompt_item, -1),
        prompt_start=np.zeros_like(rows.prompt_start),
        prompt_frames=np.zeros_like(rows.prompt_frames),
    )
