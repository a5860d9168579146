"""`valle adapt-codec --run RUN --training-set SET --out DIR`: adapt a trained model to another codec."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from valle.checkpoints.runs import newest_checkpoint
from valle.cli.arguments import parse, say
from valle.data.selection.training_set import load_training_set
from valle.data_root import open_data_root
from warehouse.catalogue.views import connect


class AdaptCodecOptions(BaseModel):
    """Adapt the newest checkpoint of a run to the codec of a training set, as the start of further training."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    run: str
    """Name of a training run."""
    training_set: str
    """Name of the training set with the new codec; some utterances of the lake must have codes of both codecs."""
    out: Path
    """New directory for the checkpoint."""
    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Adapt a checkpoint."""
    options = parse(AdaptCodecOptions, command, arguments)
    root = open_data_root(options.data)
    checkpoint = newest_checkpoint(root.runs, options.run)
    codec = load_training_set(root.training_sets / options.training_set).card.codec
    # Importing torch needs seconds, and a wrong option should not wait for it.
    from valle.training.adapt_codec import adapt_checkpoint

    with connect(root.lake.snapshot(), extent="tables") as catalogue:
        num_frames = adapt_checkpoint(checkpoint, codec, catalogue, options.out)
    say(f"{options.out}: compared {num_frames} frames; continue with `valle train --options.start-from {options.out}`.")
    return 0
