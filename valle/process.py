"""Settings of a process that runs networks: threads, device and freed memory."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    import torch

_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8


def prepare_process(threads: int) -> None:
    """Let torch use `threads` cores for one operation, and keep freed memory for the next (`keep_freed_memory`)."""
    import torch  # not at import time: a command with nothing to do should not wait for it

    torch.set_num_threads(threads)
    keep_freed_memory()


def torch_device(name: str) -> torch.device:
    """Return a torch device by its name. Raises ConfigurationError for one that is unknown or that is not there."""
    import torch

    try:
        device = torch.device(name)
        torch.empty(1, device=device).item()  # `meta` and missing GPUs fail here only
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ConfigurationError(f"There is no device {name!r} ({reason}); use cpu, cuda:0 or mps.") from error
    return device


def keep_freed_memory() -> None:
    """Let the allocator of glibc keep freed buffers instead of returning them; do nothing with another C library.

    A network frees and allocates the same megabytes in every layer, and the kernel clears each page it hands out: a
    third of the time of Whisper's encoder. Call it before threads start, which keep their arena. The process keeps its
    largest size.
    """
    name = "CS_GNU_LIBC_VERSION"
    if name not in getattr(os, "confstr_names", {}) or not os.confstr(name):
        return
    set_option = ctypes.CDLL(None).mallopt
    # One arena: those of threads always return large buffers. Networks allocate seldom, so contention is low.
    set_option(_M_ARENA_MAX, 1)
    set_option(_M_MMAP_THRESHOLD, 1 << 30)
    set_option(_M_TRIM_THRESHOLD, (1 << 31) - 1)
    set_option(_M_TOP_PAD, 1 << 28)
