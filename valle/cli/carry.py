"""`valle carry --run RUN --training-set SET --out DIR`: a trained model for the codes of another codec."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from valle.checkpoints.runs import newest_checkpoint
from valle.cli.arguments import parse, say
from valle.data.selection.training_set import load_training_set
from valle.data_root import open_data_root
from warehouse.catalogue.views import connect


class CarryOptions(BaseModel):
    """Carry the newest checkpoint of a run over to the codec of a training set, to be trained on from there."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    run: str
    """Name of a training run."""
    training_set: str
    """Name of the training set whose codec it is to be; some of the lake must have codes of both codecs."""
    out: Path
    """New directory for the checkpoint."""
    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Carry a checkpoint over."""
    options = parse(CarryOptions, command, arguments)
    root = open_data_root(options.data)
    checkpoint = newest_checkpoint(root.runs, options.run)
    codec = load_training_set(root.training_sets / options.training_set).card.codec
    # Torch takes seconds, and a wrong option should not wait for it.
    from valle.training.carry import carry_checkpoint

    with connect(root.lake.snapshot(), extent="tables") as catalogue:
        num_frames = carry_checkpoint(checkpoint, codec, catalogue, options.out)
    say(f"{options.out}: compared {num_frames} frames; train on with `--options.start-from {options.out}`.")
    return 0
