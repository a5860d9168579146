"""The devices of a run, from how a form or a command line names them to one name per set of models."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from warehouse.errors import ConfigurationError

_REPEATED = re.compile(r"(?P<name>[a-z]+(:\d+)?)(\s*x\s*(?P<count>[1-9]\d{0,2}))?")


def expand_devices(names: Sequence[str]) -> tuple[str, ...]:
    """Return one torch device per set of models.

    `auto` is all GPUs of this machine, or its CPU; `cuda` is all GPUs; `cpu x 2` is two sets of models on the CPU.
    Torch is imported only where there may be a GPU. Raises ConfigurationError for a name of another form, and for
    `cuda` on a machine without.
    """
    devices: list[str] = []
    for name in names:
        match = _REPEATED.fullmatch(name.strip())
        if match is None:
            raise ConfigurationError(
                f"A device is auto, cpu, cuda, cuda:1 or cpu x 2 (two sets of models), not {name!r}."
            )
        devices += _devices_of(match["name"]) * int(match["count"] or 1)
    if not devices:
        raise ConfigurationError("Name at least one device, such as auto or cpu.")
    return tuple(devices)


def _devices_of(name: str) -> list[str]:
    if name not in ("auto", "cuda"):
        return [name]
    gpus = [f"cuda:{index}" for index in range(_num_gpus())]
    if not gpus and name == "cuda":
        raise ConfigurationError("There is no CUDA device on this machine; use auto or cpu.")
    return gpus or ["cpu"]


@cache
def _num_gpus() -> int:
    # Torch needs seconds to import, which a machine without a driver does not wait for.
    if not any(Path(path).exists() for path in ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg")):
        return 0
    import torch

    return torch.cuda.device_count()
