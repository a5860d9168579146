"""Parameters of the distribution of shards, part of every form that runs stages. Do not import Prefect here."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from valle.devices import expand_devices


class Workers(BaseModel):
    """Distribution of shards over the machine or a cluster."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    runner: Literal["threads", "processes", "dask", "ray"] = "threads"
    """Threads or processes of this machine, or a Dask or Ray cluster."""
    width: int = Field(default=1, ge=1, le=1024)
    """Shards at a time."""
    threads: int = Field(default=1, ge=1, le=1024)
    """CPU threads of each model."""
    devices: tuple[str, ...] = ("cpu",)
    """Devices of the models, one set of models each: `auto` (all GPUs, or the CPU), `cpu`, `cuda` (all GPUs), a list of
    several such as `cuda:0` and `cuda:1`, or `cpu x 2`."""
    address: str | None = None
    """Address of a running Dask scheduler or Ray head; by default a cluster is started on this machine."""

    @field_validator("devices", mode="before")
    @classmethod
    def _split(cls, devices: object) -> object:
        return tuple(name.strip() for name in devices.split(",")) if isinstance(devices, str) else devices

    @property
    def is_local(self) -> bool:
        """True if threads or processes of this machine do the work."""
        return self.runner in ("threads", "processes")

    @property
    def device_names(self) -> tuple[str, ...]:
        """One torch device per set of models."""
        return expand_devices(self.devices)

    @property
    def device(self) -> str:
        """The first device, for work that is not spread over all."""
        return self.device_names[0]

    @property
    def slots(self) -> int:
        """Shards at a time: the width, and at least one for each device."""
        return max(self.width, len(self.device_names))
