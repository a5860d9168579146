"""Measure the memory that a piece of work takes."""

import tracemalloc
from collections.abc import Callable

REPEATS = 3


def peak_of(work: Callable[[], object], *, repeats: int = REPEATS) -> int:
    """Return the peak of the bytes that Python allocates while `work` runs, the smallest of some runs.

    Allocations of every thread are traced, and a library's thread of an earlier test may allocate in one of the runs.
    """
    return min(_traced_peak(work) for _ in range(repeats))


def _traced_peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
