"""One set of models per device of a run, and the lease of one by each shard.

Shards take whichever set is free, so a slow device does not hold up a fast one. Threads share the sets of their
process. A process keeps one set for its life: its place among the processes of the run on this machine is a lock file.
"""

import os
import queue
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

from flows.machine.workers import Workers
from valle.backends.registry import Backends


@dataclass(frozen=True, slots=True)
class _Place:
    """The place of this process, with its lock, which is released when it is collected."""

    number: int
    lock: FileLock | None


@contextmanager
def leased_backends(workers: Workers, run: str) -> Iterator[Backends]:
    """Lend the models of a free device to the body."""
    if workers.runner != "threads":
        yield _backends_of_place(workers, _place_of_process(run, workers.slots).number)
        return
    free = _free_places(workers.devices, workers.slots)
    place = free.get()
    try:
        yield _backends_of_place(workers, place)
    finally:
        free.put(place)


def process_backends(workers: Workers) -> Backends:
    """Return the models on the first device of a run, for work that is not spread."""
    return _backends_of_place(workers, 0)


def _backends_of_place(workers: Workers, place: int) -> Backends:
    devices = workers.device_names
    number = place % len(devices)
    return _backends(devices[number], workers.threads, number)


@cache
def _backends(device: str, threads: int, number: int) -> Backends:
    """Return the models of a device, loaded on first use and kept until the process ends; `number` tells sets apart."""
    import torch  # seconds, which a flow without models should not need

    torch.set_num_threads(threads)
    return Backends(device=device, threads=threads)


@cache
def _free_places(devices: tuple[str, ...], slots: int) -> "queue.LifoQueue[int]":
    # Last in, first out: a run with fewer shards than devices loads no models that it does not need.
    free: queue.LifoQueue[int] = queue.LifoQueue()
    for place in reversed(range(slots)):
        free.put(place)
    return free


@cache
def _place_of_process(run: str, slots: int) -> "_Place":
    """Return a place that no other process of the run has on this machine; the kernel frees it when this one ends."""
    folder = Path(tempfile.gettempdir()) / f"valle-devices-{os.getuid() if hasattr(os, 'getuid') else 0}"
    folder.mkdir(exist_ok=True, mode=0o700)
    for place in range(slots):
        lock = FileLock(folder / f"{run}-{place}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        return _Place(place, lock)
    return _Place(os.getpid() % slots, None)  # more processes on this machine than the run declares
