"""A checkpoint to keep or to give away: the weights alone, in half precision, with the card and without the trainer."""

import shutil
from pathlib import Path

from safetensors.torch import load_file

from valle.training.checkpoint import read_card, temporary_directory, weights_path, write_model
from warehouse.errors import CheckpointError

LARGEST = 65_504.0
"""The largest number of half precision."""


def export_checkpoint(checkpoint: Path, out: Path) -> int:
    """Write the checkpoint to the new directory `out` in fp16, and return its bytes. What reads checkpoints reads it.

    Raises CheckpointError when there is no checkpoint, when `out` exists, or when a weight does not fit.
    """
    if out.exists():
        raise CheckpointError(f"{out} exists; name a directory that does not.")
    card = read_card(checkpoint)
    weights = load_file(weights_path(checkpoint))
    for name, tensor in weights.items():
        if not tensor.abs().max() <= LARGEST:
            raise CheckpointError(f"{name} of {checkpoint} has weights that half precision cannot hold.")
    temporary = temporary_directory(out)
    shutil.rmtree(temporary, ignore_errors=True)
    write_model(temporary, card, {name: tensor.half() for name, tensor in weights.items()})
    temporary.replace(out)
    return sum(file.stat().st_size for file in out.iterdir())
