"""A checkpoint carried over to another codec, by the speech that the lake has codes of both for."""

import dataclasses
from pathlib import Path

import duckdb
import numpy as np
import torch
from torch import Tensor

from valle.checkpoints.checkpoint import load_model, temporary_directory, write_model
from valle.codec.base import CodecSpec
from valle.model.carry import ParallelCodes, carry_codes
from warehouse.errors import CheckpointError

FEWEST_FRAMES = 50_000
"""Eleven minutes, about fifty frames for each of 1,024 entries; fewer would leave many entries without a meaning."""
_MOST_FRAMES = 300_000
"""Over an hour. A vector of the model's width for each of them has to fit into memory a few times."""


def carry_checkpoint(checkpoint: Path, codec: CodecSpec, catalogue: duckdb.DuckDBPyConnection, out: Path) -> int:
    """Write the checkpoint for the codes of `codec` to the new directory `out`; returns the frames it was done by.

    It speaks roughly, and is made to be trained on from. Raises CheckpointError when `out` exists, the codecs are the
    same or differ in shape, or the `catalogue` has fewer than `FEWEST_FRAMES` frames of both.
    """
    if out.exists():
        raise CheckpointError(f"{out} exists; name a directory that does not.")
    model, card = load_model(checkpoint)
    if codec == card.codec:
        raise CheckpointError(f"{checkpoint} knows the codes of {codec.label} already; train on from it.")
    renamed = dataclasses.replace(codec, name=card.codec.name, revision=card.codec.revision)
    if renamed != card.codec:
        raise CheckpointError(f"{codec.name} has another shape than the codec of {checkpoint}, {card.codec.name}.")
    codes = _parallel_codes(catalogue, card.codec, codec)
    num_frames = codes.before.shape[1]
    if num_frames < FEWEST_FRAMES:
        raise CheckpointError(
            f"The lake has {num_frames} frames of speech with codes of both {card.codec.label} and {codec.label}, "
            f"and {FEWEST_FRAMES} are needed; quantize a corpus with both."
        )
    carry_codes(model, codes)
    temporary = temporary_directory(out)
    write_model(temporary, dataclasses.replace(card, codec=codec), model.state_dict())
    temporary.replace(out)
    return num_frames


def _parallel_codes(catalogue: duckdb.DuckDBPyConnection, before: CodecSpec, after: CodecSpec) -> ParallelCodes:
    sides = {"one": before, "other": after}
    columns = [f"{side}.q{level} AS {side}{level}" for side in sides for level in range(before.num_codebooks)]
    rows = catalogue.execute(
        f"SELECT {', '.join(columns)} FROM codes AS one JOIN codes AS other USING (segment_id) "
        "WHERE one.codec = ? AND other.codec = ? AND one.num_frames = other.num_frames AND one.num_frames > 0 "
        "QUALIFY sum(one.num_frames) OVER (ORDER BY hash(segment_id)) <= ?",
        [before.label, after.label, _MOST_FRAMES],
    ).fetchnumpy()
    nothing = np.zeros(0, np.int64)

    def stacked(side: str) -> Tensor:
        levels = [np.concatenate([nothing, *rows[f"{side}{level}"]]) for level in range(before.num_codebooks)]
        return torch.from_numpy(np.stack(levels))

    return ParallelCodes(stacked("one"), stacked("other"))
