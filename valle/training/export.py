"""A checkpoint to keep or to give away: the weights alone, in half precision, with the card and without the trainer."""

import dataclasses
import shutil
from pathlib import Path

from safetensors.torch import load_file

from valle.checkpoints.checkpoint import read_card, temporary_directory, weights_path, write_model
from valle.synthesis.options import SamplingOptions
from warehouse.errors import CheckpointError

LARGEST = 65_504.0
"""The largest number of half precision."""


_OF_THE_MAKER = ("training_set", "run_dir", "start_from")
"""Options that say where files lay when it was trained, which is nobody's business elsewhere."""


def export_checkpoint(
    checkpoint: Path, out: Path, *, name: str | None = None, sampling: SamplingOptions | None = None
) -> int:
    """Write the checkpoint to the new directory `out` in fp16, and return its bytes. What reads checkpoints reads it.

    `name` is what its run is called from now on, and `sampling` how it speaks by default, where they are given; the
    card keeps every option of its training that is no path.
    Raises CheckpointError when there is no checkpoint, when `out` exists, or when a weight does not fit.
    """
    if out.exists():
        raise CheckpointError(f"{out} exists; name a directory that does not.")
    card = read_card(checkpoint)
    weights = load_file(weights_path(checkpoint))
    for part, tensor in weights.items():
        if not tensor.abs().max() <= LARGEST:
            raise CheckpointError(f"{part} of {checkpoint} has weights that half precision cannot hold.")
    temporary = temporary_directory(out)
    shutil.rmtree(temporary, ignore_errors=True)
    options = {option: value for option, value in card.options.items() if option not in _OF_THE_MAKER}
    options["run_id"] = name or card.run_id
    if sampling is not None:
        options["sampling"] = sampling.model_dump(mode="json", exclude_unset=True)
    given = dataclasses.replace(card, run_id=options["run_id"], options=options)
    write_model(temporary, given, {part: tensor.half() for part, tensor in weights.items()})
    temporary.replace(out)
    return sum(file.stat().st_size for file in out.iterdir())
