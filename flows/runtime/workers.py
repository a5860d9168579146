"""Workers of a flow: the part of its parameters that the runtime needs."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Workers(BaseModel):
    """Distribution of shards over the machine or a cluster."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    runner: Literal["threads", "processes", "dask", "ray"] = "threads"
    """Threads or processes of this machine, or a Dask or Ray cluster."""
    width: int = Field(default=1, ge=1)
    """Shards at a time."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of each model."""
    device: str = "cpu"
    """Torch device of the models, such as `cpu` or `cuda:0`."""
    address: str | None = None
    """Address of a running Dask scheduler or Ray head; by default a cluster is started on this machine."""
