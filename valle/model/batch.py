"""What the network reads: rows of one decode mode, flattened segment by segment, with their placement.

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
from valle.model.layout import LAYOUTS, Ints, Layout, Mode, place


@dataclass(frozen=True, slots=True)
class Row:
    """One row to be: phoneme ids, language id, level, prompt codes and target codes.

    Codes are [K', T]. An AR row needs codebook 0 of both. A NAR row of level q needs the prompt's codebooks below q
    and the target's up to q, or below q when it is to be predicted rather than learnt.
    """

    symbol_ids: Ints
    language_id: int
    level: int
    prompt: Codes | None
    target: Codes


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one mode as flat tensors; `slots` and the like are flat indices into the padded grid [B * L].

    Flat code tensors are frame by frame, [frames of all rows, K']; columns a row does not have are 0.
    """

    mode: Mode
    levels: Tensor  # [B]
    symbol_ids: Tensor  # [symbols of all rows]
    language_ids: Tensor  # [B]
    prompt: Tensor  # [prompt frames of all rows, K']
    prompt_levels: Tensor  # [prompt frames of all rows]
    target: Tensor  # [target frames of all rows, K']
    target_levels: Tensor  # [target frames of all rows]
    row_lengths: Tensor  # [B]
    positions: Tensor  # [B, L]
    slots: Mapping[str, Tensor]
    separators: Tensor
    predictions: Tensor  # [M]
    prediction_levels: Tensor  # [M]
    last_predictions: Tensor  # [B], indices into the M predictions
    labels: Tensor | None  # [M]; None when a target is still to be predicted
    is_padded: bool

    @property
    def layout(self) -> Layout:
        """The layout all rows share."""
        return LAYOUTS[self.mode]

    @property
    def num_tokens(self) -> int:
        """Slots that hold something, separators included."""
        return int(self.row_lengths.sum())

    @property
    def num_slots(self) -> int:
        """Slots of the padded grid."""
        return self.positions.numel()

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        moved: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                moved[field.name] = value.to(device, non_blocking=True)
        moved["slots"] = {name: tensor.to(device, non_blocking=True) for name, tensor in self.slots.items()}
        return dataclasses.replace(self, **moved)


def _flat_codes(codes: Sequence[Codes | None]) -> NDArray[np.int64]:
    present = [part for part in codes if part is not None and part.shape[1]]
    columns = max((len(part) for part in present), default=1)
    flat = np.zeros((sum(part.shape[1] for part in present), columns), dtype=np.int64)
    start = 0
    for part in present:
        flat[start : start + part.shape[1], : len(part)] = part.T
        start += part.shape[1]
    return flat


def _labels(mode: Mode, rows: Sequence[Row], stop: int) -> Ints | None:
    """The ids to predict, row by row: codebook 0 and a stop for AR rows, codebook q for NAR rows of level q."""
    if mode is Mode.AR:
        return np.concatenate([part for row in rows for part in (row.target[0], [stop])]).astype(np.int64)
    if any(len(row.target) <= row.level for row in rows):
        return None
    return np.concatenate([row.target[row.level] for row in rows]).astype(np.int64)


def _lengths(rows: Sequence[Row]) -> dict[str, Ints]:
    ones = np.ones(len(rows), dtype=np.int64)
    return {
        "text": np.array([len(row.symbol_ids) for row in rows]),
        "language": ones,
        "level": ones,
        "prompt": np.array([0 if row.prompt is None else row.prompt.shape[1] for row in rows]),
        "target": np.array([row.target.shape[1] for row in rows]),
    }


def make_batch(mode: Mode, rows: Sequence[Row], *, stop: int, text_stride: float = 1.0) -> Batch:
    """Lay out rows of one mode. `stop` is the id that ends codebook 0, `text_stride` the frames per symbol.

    Asserts that an AR row has level 0, a NAR row a level above it, and that the codebooks a row needs are there.
    """
    for row in rows:
        assert (row.level == 0) == (mode is Mode.AR), f"a row of level {row.level} is no {mode} row"
        needed = max(row.level, 1)
        assert len(row.target) >= needed, "the target lacks codebooks"
        assert row.prompt is None or len(row.prompt) >= needed, "the prompt lacks codebooks"
    lengths = _lengths(rows)
    placement = place(LAYOUTS[mode], lengths, text_stride=text_stride)
    levels = np.array([row.level for row in rows])
    labels = _labels(mode, rows, stop)
    return Batch(
        mode=mode,
        levels=torch.from_numpy(levels),
        symbol_ids=torch.from_numpy(np.concatenate([row.symbol_ids for row in rows]).astype(np.int64)),
        language_ids=torch.tensor([row.language_id for row in rows]),
        prompt=torch.from_numpy(_flat_codes([row.prompt for row in rows])),
        prompt_levels=torch.from_numpy(np.repeat(levels, lengths["prompt"])),
        target=torch.from_numpy(_flat_codes([row.target for row in rows])),
        target_levels=torch.from_numpy(np.repeat(levels, lengths["target"])),
        row_lengths=torch.from_numpy(placement.row_lengths),
        positions=torch.from_numpy(placement.positions),
        slots={name: torch.from_numpy(slots) for name, slots in placement.slots.items()},
        separators=torch.from_numpy(placement.separators),
        predictions=torch.from_numpy(placement.predictions),
        prediction_levels=torch.from_numpy(np.repeat(levels, placement.prediction_lengths)),
        last_predictions=torch.from_numpy(np.cumsum(placement.prediction_lengths) - 1),
        labels=None if labels is None else torch.from_numpy(labels),
        is_padded=bool((placement.row_lengths != placement.positions.shape[1]).any()),
    )
