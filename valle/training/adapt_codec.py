"""Adaptation of a checkpoint to another codec, by the utterances that have codes of both in the lake."""

import dataclasses
from pathlib import Path

import duckdb
import numpy as np
import torch
from torch import Tensor

from valle.checkpoints.checkpoint import load_model
from valle.checkpoints.saving import new_checkpoint, write_model
from valle.codec.base import CodecSpec
from valle.model.from_codec.adaptation import ParallelCodes, adapt_codes
from warehouse.errors import CheckpointError

MIN_FRAMES = 50_000
"""Eleven minutes: about fifty frames for each of 1,024 entries; with fewer, many entries would have no estimate."""
# Over an hour. Several vectors of the model's width per frame must fit into memory.
_MAX_FRAMES = 300_000


def adapt_checkpoint(checkpoint: Path, codec: CodecSpec, catalogue: duckdb.DuckDBPyConnection, out: Path) -> int:
    """Write a checkpoint for the codes of `codec` to the new directory `out`; returns the frames that were compared.

    The result is a start for further training. Raises CheckpointError when `out` exists, the codecs are the same or
    differ in shape, or the `catalogue` has fewer than `MIN_FRAMES` frames with codes of both.
    """
    if out.exists():
        raise CheckpointError(f"{out} exists; name a directory that does not.")
    model, card = load_model(checkpoint)
    if codec == card.codec:
        raise CheckpointError(f"{checkpoint} already has the codes of {codec.label}; continue its training.")
    renamed = dataclasses.replace(codec, name=card.codec.name, revision=card.codec.revision)
    if renamed != card.codec:
        raise CheckpointError(
            f"{codec.name} has another shape than {card.codec.name}, the codec of {checkpoint}; "
            "choose a codec with as many codebooks and entries."
        )
    codes = _parallel_codes(catalogue, card.codec, codec)
    num_frames = codes.before.shape[1]
    if num_frames < MIN_FRAMES:
        raise CheckpointError(
            f"The lake has {num_frames} frames of speech with codes of both {card.codec.label} and {codec.label}, "
            f"and {MIN_FRAMES} are needed; quantize a corpus with both."
        )
    adapt_codes(model, codes)
    with new_checkpoint(out) as temporary:
        write_model(temporary, dataclasses.replace(card, codec=codec), model.state_dict())
    return num_frames


def _parallel_codes(catalogue: duckdb.DuckDBPyConnection, before: CodecSpec, after: CodecSpec) -> ParallelCodes:
    sides = {"before": before, "after": after}
    columns = [f"{side}.q{codebook} AS {side}{codebook}" for side in sides for codebook in range(before.num_codebooks)]
    rows = catalogue.execute(
        f"SELECT {', '.join(columns)} FROM codes AS before JOIN codes AS after USING (segment_id) "
        "WHERE before.codec = ? AND after.codec = ? AND before.num_frames = after.num_frames AND before.num_frames > 0 "
        "QUALIFY sum(before.num_frames) OVER (ORDER BY hash(segment_id)) <= ?",
        [before.label, after.label, _MAX_FRAMES],
    ).fetchnumpy()
    empty = np.zeros(0, np.int64)  # concatenates to no frames where no utterance matches

    def stacked(side: str) -> Tensor:
        codebooks = [np.concatenate([empty, *rows[f"{side}{k}"]]) for k in range(before.num_codebooks)]
        return torch.from_numpy(np.stack(codebooks))

    return ParallelCodes(stacked("before"), stacked("after"))
