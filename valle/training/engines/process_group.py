"""The process group of a run of several ranks, which listens on no outside interface unless there are several nodes.

torch's TCP store listens on all interfaces, regardless of MASTER_ADDR. Ranks of one node meet in a file instead, and
their connections use the loopback interface.
"""

import os
import sys
import tempfile
from collections.abc import Mapping, MutableMapping
from datetime import timedelta
from pathlib import Path

import psutil
import torch
import torch.distributed
from torch._C._distributed_c10d import FileStore, HashStore, Store

_LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"
_TIMEOUT = timedelta(minutes=30)


def is_single_node(environment: Mapping[str, str]) -> bool:
    """Return whether all ranks run on this machine, by the environment that torchrun or DeepSpeed's launcher set."""
    world_size = environment.get("WORLD_SIZE", "1")
    local = environment.get("LOCAL_WORLD_SIZE") or environment.get("LOCAL_SIZE")
    if local is not None:
        return local == world_size
    return world_size == "1" or environment.get("MASTER_ADDR", "") in ("127.0.0.1", "localhost", "::1")


def single_process_environment(environment: MutableMapping[str, str]) -> None:
    """Set what a launcher would have set, for one process; the address and port are never used."""
    if "WORLD_SIZE" not in environment:
        single = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0", "RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}
        environment.update(single)


def init_process_group(environment: MutableMapping[str, str]) -> None:
    """Initialize torch.distributed from the environment of a launcher, or for this process alone.

    Does nothing when a process group exists.
    """
    if torch.distributed.is_initialized():
        return
    single_process_environment(environment)
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    if not is_single_node(environment):
        torch.distributed.init_process_group(backend, timeout=_TIMEOUT)
        return
    # Both libraries listen for their peers on the interface of the host name otherwise.
    for library in ("GLOO", "NCCL"):
        environment.setdefault(f"{library}_SOCKET_IFNAME", _LOOPBACK)
    rank, world_size = int(environment["RANK"]), int(environment["WORLD_SIZE"])
    store: Store = HashStore()
    if world_size > 1:
        store = FileStore(str(_meeting_file(environment)), world_size)
    torch.distributed.init_process_group(backend, store=store, rank=rank, world_size=world_size, timeout=_TIMEOUT)


def _meeting_file(environment: Mapping[str, str]) -> Path:
    """Return a file that the ranks of this launch, and no earlier ones, share in a folder that only this user opens."""
    launcher = psutil.Process(os.getppid())
    folder = Path(tempfile.gettempdir()) / f"valle-ranks-{launcher.username()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if os.name == "posix" and folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user; set TMPDIR to a folder of your own.")
    # A killed launch leaves its file, and a store must never meet the entries of another launch.
    attempt = environment.get("TORCHELASTIC_RESTART_COUNT", "0")
    started = int(launcher.create_time() * 1000)
    return folder / f"{launcher.pid}-{started}-{environment.get('MASTER_PORT', '0')}-{attempt}"
