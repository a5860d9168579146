"""`valle export --run RUN --out DIR`: a checkpoint to give away."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from valle.checkpoints.runs import newest_checkpoint
from valle.cli.arguments import parse, say
from valle.data_root import open_data_root
from valle.synthesis.options import SamplingOptions


class ExportOptions(BaseModel):
    """Write the newest checkpoint of a run in half precision, without the state of its trainer."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    run: str
    """Name of a training run."""
    out: Path
    """New directory for the checkpoint."""
    name: str | None = None
    """What the run is called in its card; by default as it is."""
    sampling: SamplingOptions | None = None
    """How it speaks where nothing else is asked for; by default as its training said."""
    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Export a checkpoint."""
    options = parse(ExportOptions, command, arguments)
    checkpoint = newest_checkpoint(open_data_root(options.data).runs, options.run)
    # Torch takes seconds, and a wrong option should not wait for it.
    from valle.training.export import export_checkpoint

    size = export_checkpoint(checkpoint, options.out, name=options.name, sampling=options.sampling)
    say(f"{options.out}: {size / 1e6:.1f} MB; `valle speak --checkpoint {options.out}` speaks with it.")
    return 0
