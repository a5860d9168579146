"""The one table that says how a row of each decode mode looks, and the arithmetic that follows from it.

A row is its segments in order, each followed by one separator, but for the output, which comes last and has none.
An empty segment vanishes together with its separator. Positions restart with every segment, and those of the text run
at the pace of speech: a symbol and the frames that speak it have near positions, which rotary attention finds sooner
(on synthetic rows 1.83 nats after 400 steps, against 1.92 with a pace of 1). Everything else is derived here: slots of
every element in the padded `[B, L]` grid, positions, and the slots whose hidden states predict the output.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class Mode(StrEnum):
    """How the output of a row is decoded."""

    AR = "ar"  # codebook 0, one frame after the other
    NAR = "nar"  # codebook q >= 1, all frames at once, given the codebooks below


class MaskKind(StrEnum):
    """Who may attend to whom inside a row; padding is never attended to."""

    CAUSAL = "causal"
    FULL = "full"


class Codebooks(StrEnum):
    """Which codebooks of a segment are embedded, summed per frame, in a row of level q."""

    FIRST = "first"  # codebook 0
    BELOW = "below"  # codebooks 0 .. q-1


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a row: what it holds and what embeds it.

    For codes: which codebooks are summed, and which of the tables is the one of codebook 0. A paced segment advances
    by the frames that one of its elements lasts on average, all others by 1.
    """

    name: str
    table: str
    codebooks: Codebooks | None = None
    first_table: int = 0
    is_paced: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """One decode mode: its segments in order, the segment that is the output, the mask."""

    mode: Mode
    segments: tuple[Segment, ...]
    output: str
    mask: MaskKind
    has_stop: bool

    @property
    def shift(self) -> int:
        """Distance from a slot to the output element its hidden state predicts: 1 when causal, else 0."""
        return 1 if self.mask is MaskKind.CAUSAL else 0

    def segment(self, name: str) -> Segment:
        """The segment called `name`."""
        return next(segment for segment in self.segments if segment.name == name)


_CONDITION = (Segment("text", "symbols", is_paced=True), Segment("language", "languages"), Segment("level", "levels"))

LAYOUTS: Mapping[Mode, Layout] = MappingProxyType(
    {
        Mode.AR: Layout(
            mode=Mode.AR,
            segments=(
                *_CONDITION,
                Segment("prompt", "prompt_codes", Codebooks.FIRST),
                Segment("target", "target_codes", Codebooks.FIRST, first_table=0),
            ),
            output="target",
            mask=MaskKind.CAUSAL,
            has_stop=True,
        ),
        Mode.NAR: Layout(
            mode=Mode.NAR,
            segments=(
                *_CONDITION,
                Segment("prompt", "prompt_codes", Codebooks.BELOW),
                Segment("target", "target_codes", Codebooks.BELOW, first_table=1),
            ),
            output="target",
            mask=MaskKind.FULL,
            has_stop=False,
        ),
    }
)
"""Layouts by mode. A new task or mode is a new row of this table."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where everything of a batch lies. Slots are flat indices into the padded grid `[B * L]`, row by row."""

    row_lengths: Ints  # [B]
    positions: NDArray[np.float32]  # [B, L]; 0 where padded
    slots: Mapping[str, Ints]  # by segment: [elements of all rows]
    separators: Ints  # [separators of all rows]
    predictions: Ints  # [predicted elements of all rows]
    prediction_lengths: Ints  # [B]


def ragged_arange(lengths: Ints) -> Ints:
    """0 .. n-1 for every n of `lengths`, one after the other."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - lengths, lengths)


def row_length(layout: Layout, lengths: Mapping[str, Ints]) -> Ints:
    """Slots of each row, separators included: [B]."""
    total = np.zeros_like(lengths[layout.output])
    for segment in layout.segments:
        count = lengths[segment.name]
        total = total + count + ((count > 0) if segment.name != layout.output else 0)
    return total


def place(layout: Layout, lengths: Mapping[str, Ints], *, text_stride: float = 1.0) -> Placement:
    """Lay out a batch from the number of elements each segment has in each row: name to [B].

    `text_stride` is how far positions advance from one symbol to the next: frames per symbol.
    """
    row_lengths = row_length(layout, lengths)
    num_rows, longest = len(row_lengths), int(row_lengths.max())
    offsets = np.arange(num_rows) * longest
    positions = np.zeros(num_rows * longest, dtype=np.float32)
    slots: dict[str, Ints] = {}
    separators = []
    start = np.zeros(num_rows, dtype=np.int64)
    for segment in layout.segments:
        count = lengths[segment.name]
        index = ragged_arange(count)
        stride = text_stride if segment.is_paced else 1.0
        slots[segment.name] = np.repeat(offsets + start, count) + index
        positions[slots[segment.name]] = index * stride
        if segment.name == layout.output:
            break
        present = count > 0
        after = (offsets + start + count)[present]
        positions[after] = count[present] * stride
        separators.append(after)
        start = start + count + present
    predicted = lengths[layout.output] + int(layout.has_stop)
    first = offsets + start - layout.shift
    return Placement(
        row_lengths=row_lengths,
        positions=positions.reshape(num_rows, longest),
        slots=slots,
        separators=np.concatenate(separators),
        predictions=np.repeat(first, predicted) + ragged_arange(predicted),
        prediction_lengths=predicted,
    )
