"""Where everything of a batch lies in the padded grid `[B, L]`: arithmetic on the lengths of segments, nothing else.

Each segment but the output is followed by one separator; an empty segment vanishes together with it. Positions restart
with every segment, and those of the text run at the pace of speech: a symbol and the frames that speak it have near
positions, which rotary attention finds sooner (on synthetic rows 1.83 nats after 400 steps, against 1.92 with a pace
of 1).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from valle.model.layout import Codebooks, Layout, Segment

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pace:
    """How far positions advance, in frames: from one symbol to the next, and from one group of codes to the next."""

    text_stride: float = 1.0
    group: int = 1

    def stride(self, segment: Segment) -> float:
        """Frames from one element of a segment to the next."""
        if segment.codebooks is Codebooks.GROUP:
            return float(self.group)
        return self.text_stride if segment.is_paced else 1.0

    def elements(self, segment: Segment, length: Ints) -> Ints:
        """Slots that `length` frames or ids take; frames that do not fill a group are no input yet."""
        return length // self.group if segment.codebooks is Codebooks.GROUP else length


@dataclass(frozen=True, slots=True)
class Placement:
    """Where everything of a batch lies. Slots are flat indices into the padded grid `[B * L]`, row by row."""

    row_lengths: Ints  # [B]
    positions: NDArray[np.float32]  # [B, L]; 0 where padded
    slots: Mapping[str, Ints]  # by segment: [elements of all rows]
    separators: Ints  # [separators of all rows]
    predictions: Ints  # [predicting slots of all rows]
    prediction_lengths: Ints  # [B]


def ragged_arange(lengths: Ints) -> Ints:
    """0 .. n-1 for every n of `lengths`, one after the other."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - lengths, lengths)


def row_length(layout: Layout, lengths: Mapping[str, Ints], pace: Pace) -> Ints:
    """Slots of each row, separators included: [B]. `lengths` are frames or ids by segment name, [B] each."""
    total = np.zeros_like(lengths[layout.output.name])
    for segment in layout.segments:
        count = pace.elements(segment, lengths[segment.name])
        total = total + count + ((count > 0) if segment is not layout.output else 0)
    return total


def place(layout: Layout, lengths: Mapping[str, Ints], pace: Pace) -> Placement:
    """Lay out a batch from the frames or ids that each segment has in each row: name to [B]."""
    row_lengths = row_length(layout, lengths, pace)
    num_rows, longest = len(row_lengths), int(row_lengths.max())
    offsets = np.arange(num_rows) * longest
    positions = np.zeros(num_rows * longest, dtype=np.float32)
    slots: dict[str, Ints] = {}
    separators = []
    start = np.zeros(num_rows, dtype=np.int64)
    for segment in layout.segments:
        count = pace.elements(segment, lengths[segment.name])
        index = ragged_arange(count)
        stride = pace.stride(segment)
        slots[segment.name] = np.repeat(offsets + start, count) + index
        positions[slots[segment.name]] = index * stride
        if segment is layout.output:
            break
        present = count > 0
        after = (offsets + start + count)[present]
        positions[after] = count[present] * stride
        separators.append(after)
        start = start + count + present
    predicted = count + int(layout.has_stop)
    first = offsets + start - layout.shift
    return Placement(
        row_lengths=row_lengths,
        positions=positions.reshape(num_rows, longest),
        slots=slots,
        separators=np.concatenate(separators),
        predictions=np.repeat(first, predicted) + ragged_arange(predicted),
        prediction_lengths=predicted,
    )
