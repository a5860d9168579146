"""Batches that the network reads: rows of one layout, flattened field by field, with their slots.

Nothing here is random or depends on the origin of the codes; the collator and the synthesizer both call `make_batch`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from valle.model.config import BEGIN_SYMBOL, END_SYMBOL, ModelConfig
from valle.model.conventions import Column
from valle.model.layout import CODEBOOK, TEXT, CodebookRange, Ints, Layout, LayoutField, Mode
from valle.model.placement import layout_batch

if TYPE_CHECKING:
    from valle.model.row import Elements, Row

IGNORED = -100
"""Label of an element that has no loss: a frame of a masked row that was not masked, or outside an edited span."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one layout as flat tensors; `slots` and the like are flat indices into the padded grid [B * L].

    `elements` holds by field what each slot of all rows embeds: ids [n], or codes [n, K'] of which the first `counts`
    [n] are summed; `tables` are the numbers of their tables, [K'], or [n, K'] where rows differ. Every predicting slot
    has as many predictions as a group has frames, or a whole frame codebooks. `factors` are those of the loss, one per
    head of codes; None for 1.
    """

    layout: Layout
    elements: Mapping[str, Tensor]
    counts: Mapping[str, Tensor]
    tables: Mapping[str, Tensor]
    row_lengths: Tensor  # [B]
    positions: Tensor  # [B, L]
    output_starts: Tensor  # [B], first slot of the output in each row
    slots: Mapping[str, Tensor]
    separators: Tensor
    predictions: Tensor  # [M], the slot of each prediction
    heads: Tensor  # [M], number of the head within those of the layout's kind
    last_predictions: Tensor  # [B], index of the last slot's first prediction
    labels: Tensor | None  # [M]; None in decoding
    is_padded: bool
    factors: Tensor | None = None

    @property
    def num_tokens(self) -> int:
        """Count the slots in use, separators included."""
        return int(self.row_lengths.sum())

    @property
    def num_slots(self) -> int:
        """Count the slots of the padded grid."""
        return self.positions.numel()

    @property
    def num_labels(self) -> int:
        """Count the predictions with a label."""
        return 0 if self.labels is None else int((self.labels != IGNORED).sum())

    def to(self, device: torch.device) -> Batch:
        """Copy the batch to a device."""
        moved: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                moved[field.name] = value.to(device, non_blocking=True)
            elif isinstance(value, Mapping):
                moved[field.name] = {name: tensor.to(device, non_blocking=True) for name, tensor in value.items()}
        return dataclasses.replace(self, **moved)


def _flatten_codes(codes: Sequence[Elements]) -> NDArray[np.int64]:
    """Concatenate the codes [K', n] of all rows as [sum of n, K']; columns that a row lacks are 0."""
    columns = max((len(block) for block in codes if block.shape[1]), default=1)
    flat = np.zeros((sum(block.shape[1] for block in codes), columns), dtype=np.int64)
    start = 0
    for block in codes:
        flat[start : start + block.shape[1], : len(block)] = block[:columns].T
        start += block.shape[1]
    return flat


def _elements(row: Row, field: LayoutField) -> Elements:
    if field is CODEBOOK:
        return np.array([row.codebook])
    empty = np.zeros(0 if field.codebooks is None else (1, 0), dtype=np.int64)
    return row.fields.get(field.name, empty)


def _completed(given: list[Elements], field: LayoutField, layout: Layout, config: ModelConfig) -> list[Elements]:
    """Return the elements of a field in all rows, with those that the conventions of the model add."""
    if field is layout.output and (begin := config.begin_of(layout)):
        return [np.concatenate([np.array(begin), elements]) for elements in given]
    if field is TEXT and field is not layout.output and config.conventions.has_null_text:
        return [elements if len(elements) else np.array([BEGIN_SYMBOL, END_SYMBOL]) for elements in given]
    return given


def _inputs(
    row: Row, elements: Elements, field: LayoutField, columns: Sequence[Column], layout: Layout, config: ModelConfig
) -> Elements:
    """Return what the slots of a field embed: ids [n], or as many codes [K', n] as are summed."""
    if row.masked is not None and field is layout.output:
        given = elements if elements.ndim == 1 else elements[: config.codebooks_per_pass]
        elements = np.where(row.masked, config.mask_of(layout.head), given)
    if field.codebooks is CodebookRange.GROUP and not config.whole_frames:
        frames = elements.shape[1] // config.group * config.group
        return elements[0, :frames].reshape(-1, config.group).T
    if field.codebooks is None:
        return elements
    if elements.shape[1] == 0:
        return elements[:1]
    chosen = [codebook for codebook, _ in columns]
    assert len(elements) > max(chosen), f"{field.name} lacks codebooks"
    return elements[chosen]


def _tables(rows: Sequence[Row], columns: Mapping[int, Sequence[Column]], slots: Ints) -> Ints:
    """Return the table of each column of codes: [K'], or [sum of `slots`, K'] where rows embed by different tables.

    `columns` are those of each codebook that a row predicts.
    """
    tables = {codebook: [table for _, table in found] for codebook, found in columns.items()}
    longest = max(tables.values(), key=len)
    if all(longest[: len(found)] == found for found in tables.values()):
        return np.array(longest)
    padded = {codebook: found + [0] * (len(longest) - len(found)) for codebook, found in tables.items()}
    return np.repeat(np.array([padded[row.codebook] for row in rows]), slots, axis=0)


def _labels(row: Row, output: Elements, layout: Layout, config: ModelConfig) -> Ints | None:
    """Return the ids to predict; None for a NAR row without the codebook that it predicts."""
    if layout.mode is Mode.NAR:
        if len(output) <= row.codebook:
            return None
        codes = output[row.codebook].astype(np.int64)
        return codes if row.labelled is None else np.where(row.labelled, codes, IGNORED)
    columns = 1 if output.ndim == 1 else config.codebooks_per_pass
    ids = np.atleast_2d(output)[:columns].astype(np.int64)
    if row.masked is not None:
        return np.where(row.masked, ids, IGNORED).T.ravel()
    # The stop fills the rest of the last group, which is a whole group where the frames fill theirs.
    group = config.group if layout.mode is Mode.AR else 1
    end = np.full((columns, group - ids.shape[1] % group), IGNORED)
    end[0] = config.stop_of(layout.head)
    return np.concatenate([ids, end], axis=1).T.ravel()


def _heads(rows: Sequence[Row], layout: Layout, lengths: Ints, config: ModelConfig) -> Ints:
    """Return the number of the head of each prediction within those of the layout's kind."""
    if layout.mode is Mode.NAR:
        return np.repeat([row.codebook for row in rows], lengths)
    return np.tile(config.slot_heads[: config.predictions_of(layout)], int(lengths.sum()))


def _check(rows: Sequence[Row], layout: Layout) -> None:
    names = {field.name for field in layout.fields}
    for row in rows:
        is_nar = layout.mode is Mode.NAR
        assert (row.codebook > 0) == is_nar, f"a row of codebook {row.codebook} cannot have the layout {layout.name}"
        assert (row.masked is not None) == (layout.mode is Mode.NAR_LEN), "exactly the NAR-len rows have a mask"
        assert row.labelled is None or is_nar, "only a NAR row has elements without a label"
        assert set(row.fields) <= names, f"{layout.name} has no field {', '.join(sorted(set(row.fields) - names))}"


def make_batch(layout: Layout, rows: Sequence[Row], config: ModelConfig) -> Batch:
    """Lay out rows of one layout.

    Asserts that the codebook of a row suits the mode and that a row has the fields and codebooks its layout needs.
    """
    _check(rows, layout)
    given = {field.name: [_elements(row, field) for row in rows] for field in layout.fields}
    lengths = {name: np.array([elements.shape[-1] for elements in found]) for name, found in given.items()}
    placement = layout_batch(layout, lengths, config.position_stride)
    elements, counts, tables = {}, {}, {}
    predicted = {row.codebook for row in rows}
    for field in layout.fields:
        given[field.name] = _completed(given[field.name], field, layout, config)
        if field.codebooks is None and field is not layout.output:
            elements[field.name] = torch.from_numpy(np.concatenate(given[field.name]).astype(np.int64))
            continue
        columns = {} if field.codebooks is None else {q: config.columns(field, q) for q in predicted}
        inputs = [
            _inputs(row, own, field, columns.get(row.codebook, ()), layout, config)
            for row, own in zip(rows, given[field.name], strict=True)
        ]
        if field.codebooks is None:
            elements[field.name] = torch.from_numpy(np.concatenate(inputs).astype(np.int64))
        else:
            elements[field.name] = torch.from_numpy(_flatten_codes(inputs))
            sizes = [(len(block), block.shape[1]) for block in inputs]
            counts[field.name] = torch.from_numpy(np.repeat(*np.array(sizes, dtype=np.int64).T))
            slots = np.array([block.shape[1] for block in inputs])
            numbers = _tables(rows, columns, slots)[..., : elements[field.name].shape[1]]
            tables[field.name] = torch.from_numpy(numbers)
    per_slot = config.predictions_of(layout)
    outputs = zip(rows, given[layout.output.name], strict=True)
    labels = [ids for row, output in outputs if (ids := _labels(row, output, layout, config)) is not None]
    return Batch(
        layout=layout,
        elements=elements,
        counts=counts,
        tables=tables,
        row_lengths=torch.from_numpy(placement.row_lengths),
        positions=torch.from_numpy(placement.positions),
        output_starts=torch.from_numpy(placement.output_starts),
        slots={name: torch.from_numpy(slots) for name, slots in placement.slots.items()},
        separators=torch.from_numpy(placement.separators),
        predictions=torch.from_numpy(np.repeat(placement.predictions, per_slot)),
        heads=torch.from_numpy(_heads(rows, layout, placement.prediction_lengths, config)),
        last_predictions=torch.from_numpy((np.cumsum(placement.prediction_lengths) - 1) * per_slot),
        labels=torch.from_numpy(np.concatenate(labels)) if len(labels) == len(rows) else None,
        is_padded=bool((placement.row_lengths != placement.positions.shape[1]).any()),
    )
