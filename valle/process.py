"""What a process that runs networks sets once: the threads of torch, and what becomes of memory that was freed."""

import ctypes
import os

_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8


def prepare_process(threads: int) -> None:
    """Let torch use `threads` cores for one operation, and keep freed memory for the next (`keep_freed_memory`)."""
    import torch  # here, so that a command with nothing to do starts without it

    torch.set_num_threads(threads)
    keep_freed_memory()


def keep_freed_memory() -> None:
    """Let the allocator of glibc keep large buffers instead of giving them back; elsewhere nothing happens.

    A network frees and fetches the same megabytes in every layer, and the kernel clears each page it hands out: a
    third of the time of Whisper's encoder. To be called before there are threads, which keep the arena they have. The
    process keeps its largest size.
    """
    name = "CS_GNU_LIBC_VERSION"
    if name not in getattr(os, "confstr_names", {}) or not os.confstr(name):
        return
    set_option = ctypes.CDLL(None).mallopt
    # One arena: the others, which threads get, always hand large buffers back. Networks ask seldom, and for much.
    set_option(_M_ARENA_MAX, 1)
    set_option(_M_MMAP_THRESHOLD, 1 << 30)
    set_option(_M_TRIM_THRESHOLD, (1 << 31) - 1)
    set_option(_M_TOP_PAD, 1 << 28)
