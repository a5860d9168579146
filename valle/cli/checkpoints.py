"""Checkpoints as files: `valle export` and `valle adapt-codec`."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict

from valle.checkpoints.runs import newest_checkpoint
from valle.cli.arguments import FIELDS, say
from valle.synthesis.options import SamplingOptions


class ExportOptions(BaseModel):
    """Options of `valle export`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    run: str
    """Name of a training run; its newest checkpoint is exported."""
    out: Path
    """New directory for the checkpoint."""
    name: str | None = None
    """Name of the run in the card; by default its own."""
    sampling: SamplingOptions | None = None
    """Sampling by default; by default that of the training."""
    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""


class AdaptCodecOptions(BaseModel):
    """Options of `valle adapt-codec`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    run: str
    """Name of a training run; its newest checkpoint is adapted."""
    training_set: str
    """Name of a training set with the codes of the new codec; some of the lake must have codes of both codecs."""
    out: Path
    """New directory for the checkpoint."""
    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""


def export(*, options: Annotated[ExportOptions, FIELDS]) -> int:
    """Write the newest checkpoint of a run in half precision, without the state of its trainer."""
    from valle.data_root import open_data_root

    checkpoint = newest_checkpoint(open_data_root(options.data).runs, options.run)
    # Torch takes seconds to import, and a wrong option should not wait for it.
    from valle.training.export import export_checkpoint

    size = export_checkpoint(checkpoint, options.out, name=options.name, sampling=options.sampling)
    say(f"{options.out}: {size / 1e6:.1f} MB; `valle speak --checkpoint {options.out}` speaks with it.")
    return 0


def adapt_codec(*, options: Annotated[AdaptCodecOptions, FIELDS]) -> int:
    """Adapt the newest checkpoint of a run to the codec of a training set, for a training to continue from."""
    from valle.data.selection.training_set import load_training_set
    from valle.data_root import open_data_root
    from warehouse.catalogue.views import connect

    root = open_data_root(options.data)
    checkpoint = newest_checkpoint(root.runs, options.run)
    codec = load_training_set(root.training_sets / options.training_set).card.codec
    from valle.training.adapt_codec import adapt_checkpoint

    with connect(root.lake.snapshot(), extent="tables") as catalogue:
        num_frames = adapt_checkpoint(checkpoint, codec, catalogue, options.out)
    say(f"{options.out}: compared {num_frames} frames; continue with `--options.start-from {options.out}`.")
    return 0
