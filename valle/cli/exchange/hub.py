"""Checkpoints and training sets on the Hugging Face hub: the commands of `valle hub`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict

from valle.cli.arguments import FIELDS, say
from warehouse.errors import ConfigurationError


class PushOptions(BaseModel):
    """Options of `valle hub push`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    run: str | None = None
    """Name of a training run; its newest checkpoint is uploaded."""
    training_set: str | None = None
    """Name of a training set, instead: its codes, phonemes and texts are uploaded."""
    private: bool = True
    """Create a new repository as a private one."""
    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""


def push(
    target: Annotated[str, Parameter(help="Repository USER/NAME of the Hugging Face hub, or file:///FOLDER.")],
    /,
    *,
    options: Annotated[PushOptions, FIELDS] = PushOptions(),
) -> int:
    """Upload a checkpoint or a training set with a card that names data, licences and scores."""
    if (options.run is None) == (options.training_set is None):
        raise ConfigurationError("Give a run or a training set to upload: --run or --training-set.")
    from valle.data_root import open_data_root
    from valle.interchange.hub.publish import publish_run, publish_training_set

    root = open_data_root(options.data)
    if options.run is not None:
        address = publish_run(root, options.run, target, private=options.private)
    else:
        address = publish_training_set(root, options.training_set or "", target, private=options.private)
    say(f"Uploaded to {address}")
    return 0


class PullOptions(BaseModel):
    """Options of `valle hub pull`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str | None = None
    """Name of the new run."""
    dataset: Path | None = None
    """New folder for a training set, instead of a run."""
    revision: str | None = None
    """Branch, tag or commit; by default the main branch."""
    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""


def pull(
    source: Annotated[str, Parameter(help="Repository USER/NAME of the Hugging Face hub, or file:///FOLDER.")],
    /,
    *,
    options: Annotated[PullOptions, FIELDS] = PullOptions(),
) -> int:
    """Download a checkpoint as a new run, or a training set as a folder."""
    if (options.name is None) == (options.dataset is None):
        raise ConfigurationError("Give the name of the new run, or a folder for a training set: --name or --dataset.")
    from valle.data_root import open_data_root
    from valle.interchange.hub.publish import fetch_run
    from valle.interchange.hub.transfer import pull_folder

    if options.dataset is not None:
        pull_folder(source, options.dataset, "dataset", revision=options.revision)
        say(f"{options.dataset}: downloaded.")
        return 0
    checkpoint = fetch_run(open_data_root(options.data), source, options.name or "", revision=options.revision)
    say(f"{checkpoint}: `valle speak --run {options.name}` speaks with it.")
    return 0
