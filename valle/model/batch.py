"""What the network reads: rows of one layout, flattened segment by segment, with their placement.

Nothing here is random and nothing knows where codes come from; the collator and the synthesizer both end here.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from valle.codec.base import Codes
from valle.model.config import ModelConfig
from valle.model.layout import LAYOUTS, Codebooks, Layout, Mode, Segment, Task
from valle.model.placement import Ints, place

Elements = Ints | Codes
"""Ids [n] or codes [K', n]."""
IGNORED = -100
"""Label of what is no target: a frame of a masked row that was not masked."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row to be: its level, and what each segment of its layout holds.

    Ids are [n], codes are [K', T]; a segment that is not named is empty. An output of codes needs codebook 0, and in a
    NAR row of level q those up to q, or below q when it is to be predicted rather than learnt. `masked` [T] says which
    elements of the output are hidden in a NAR-len row.
    """

    level: int
    parts: Mapping[str, Elements]
    masked: NDArray[np.bool_] | None = None


def speech_row(
    symbol_ids: Ints,
    language_id: int,
    level: int,
    prompt: Codes | None,
    target: Codes,
    masked: NDArray[np.bool_] | None = None,
) -> Row:
    """A row that speaks a text in the voice of a prompt."""
    parts: dict[str, Elements] = {"text": symbol_ids, "language": np.array([language_id]), "target": target}
    return Row(level, parts if prompt is None else parts | {"prompt": prompt}, masked)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one layout as flat tensors; `slots` and the like are flat indices into the padded grid [B * L].

    `elements` are by segment what each slot of all rows embeds: ids [n], or codes [n, K'] of which the first `counts`
    [n] are summed. Every slot that predicts has as many predictions as a group has frames.
    """

    task: Task
    mode: Mode
    elements: Mapping[str, Tensor]
    counts: Mapping[str, Tensor]
    row_lengths: Tensor  # [B]
    positions: Tensor  # [B, L]
    slots: Mapping[str, Tensor]
    separators: Tensor
    predictions: Tensor  # [M], the slot of each prediction
    heads: Tensor  # [M], number of the head within those of the layout's kind
    last_predictions: Tensor  # [B], index of the last slot's first prediction
    labels: Tensor | None  # [M]; None when a target is still to be predicted
    is_padded: bool

    @property
    def layout(self) -> Layout:
        """The layout all rows share."""
        return LAYOUTS[self.task, self.mode]

    @property
    def num_tokens(self) -> int:
        """Slots that hold something, separators included."""
        return int(self.row_lengths.sum())

    @property
    def num_slots(self) -> int:
        """Slots of the padded grid."""
        return self.positions.numel()

    @property
    def num_labels(self) -> int:
        """Predictions that have a truth to be compared with."""
        return 0 if self.labels is None else int((self.labels != IGNORED).sum())

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        moved: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                moved[field.name] = value.to(device, non_blocking=True)
            elif isinstance(value, Mapping):
                moved[field.name] = {name: tensor.to(device, non_blocking=True) for name, tensor in value.items()}
        return dataclasses.replace(self, **moved)


def _flat_codes(codes: Sequence[Elements]) -> NDArray[np.int64]:
    """Codes [n, K'] of all rows, slot by slot; columns a row does not have are 0."""
    columns = max((len(part) for part in codes if part.shape[1]), default=1)
    flat = np.zeros((sum(part.shape[1] for part in codes), columns), dtype=np.int64)
    start = 0
    for part in codes:
        flat[start : start + part.shape[1], : len(part)] = part[:columns].T
        start += part.shape[1]
    return flat


def _part(row: Row, segment: Segment) -> Elements:
    nothing = np.zeros(0 if segment.codebooks is None else (1, 0), dtype=np.int64)
    if segment.name == "level":
        return np.array([row.level])
    return row.parts.get(segment.name, nothing)


def _inputs(row: Row, segment: Segment, layout: Layout, config: ModelConfig) -> Elements:
    """What the slots of a segment embed: ids [n], or codes [K', n] as many as are summed."""
    part = _part(row, segment)
    if row.masked is not None and segment is layout.output:
        part = np.where(row.masked, config.mask_of(layout.head), part if part.ndim == 1 else part[:1])
    if segment.codebooks is Codebooks.GROUP:
        frames = part.shape[1] // config.group * config.group
        return part[0, :frames].reshape(-1, config.group).T
    if segment.codebooks is None:
        return part
    needed = {Codebooks.FIRST: 1, Codebooks.BELOW: row.level, Codebooks.ALL: config.num_codebooks}[segment.codebooks]
    assert len(part) >= needed or part.shape[1] == 0, f"{segment.name} lacks codebooks"
    return part[:needed]


def _labels(row: Row, layout: Layout, config: ModelConfig) -> Ints | None:
    """The ids to predict; None for a NAR row without the codebook of its level."""
    output = _part(row, layout.output)
    if layout.mode is Mode.NAR:
        return output[row.level].astype(np.int64) if len(output) > row.level else None
    truth = (output if output.ndim == 1 else output[0]).astype(np.int64)
    if row.masked is not None:
        return np.where(row.masked, truth, IGNORED)
    group = config.group_of(layout)
    missing = group - len(truth) % group
    return np.concatenate([truth, np.full(missing, config.stop_of(layout.head))])


def _heads(rows: Sequence[Row], layout: Layout, lengths: Ints, config: ModelConfig) -> Ints:
    """Number of the head of each prediction within those of the layout's kind."""
    if layout.mode is Mode.NAR:
        return np.repeat([row.level for row in rows], lengths)
    return np.tile(config.frame_heads[: config.group_of(layout)], int(lengths.sum()))


def _check(rows: Sequence[Row], layout: Layout) -> None:
    for row in rows:
        assert (row.level > 0) == (layout.mode is Mode.NAR), f"a row of level {row.level} is no {layout.name} row"
        assert (row.masked is not None) == (layout.mode is Mode.NAR_LEN), "NAR-len rows, and no others, hide something"
        named = {segment.name for segment in layout.segments}
        assert set(row.parts) <= named, f"{layout.name} has no {', '.join(sorted(set(row.parts) - named))}"


def make_batch(task: Task, mode: Mode, rows: Sequence[Row], config: ModelConfig) -> Batch:
    """Lay out rows of one task and mode.

    Asserts that the level of a row suits its mode and that it has the segments and codebooks its layout needs.
    """
    layout = LAYOUTS[task, mode]
    _check(rows, layout)
    inputs = {segment: [_inputs(row, segment, layout, config) for row in rows] for segment in layout.segments}
    lengths = {segment.name: np.array([_part(row, segment).shape[-1] for row in rows]) for segment in layout.segments}
    placement = place(layout, lengths, config.pace)
    elements, counts = {}, {}
    for segment, parts in inputs.items():
        if segment.codebooks is None:
            elements[segment.name] = torch.from_numpy(np.concatenate(parts).astype(np.int64))
        else:
            elements[segment.name] = torch.from_numpy(_flat_codes(parts))
            sizes = [(len(part), part.shape[1]) for part in parts]
            counts[segment.name] = torch.from_numpy(np.repeat(*np.array(sizes, dtype=np.int64).T))
    per_slot = config.group_of(layout)
    labels = [_labels(row, layout, config) for row in rows]
    known = [part for part in labels if part is not None]
    return Batch(
        task=task,
        mode=mode,
        elements=elements,
        counts=counts,
        row_lengths=torch.from_numpy(placement.row_lengths),
        positions=torch.from_numpy(placement.positions),
        slots={name: torch.from_numpy(slots) for name, slots in placement.slots.items()},
        separators=torch.from_numpy(placement.separators),
        predictions=torch.from_numpy(np.repeat(placement.predictions, per_slot)),
        heads=torch.from_numpy(_heads(rows, layout, placement.prediction_lengths, config)),
        last_predictions=torch.from_numpy((np.cumsum(placement.prediction_lengths) - 1) * per_slot),
        labels=torch.from_numpy(np.concatenate(known)) if len(known) == len(rows) else None,
        is_padded=bool((placement.row_lengths != placement.positions.shape[1]).any()),
    )
