"""A process that keeps freed memory is not handed the same pages again and again."""

import os
import subprocess
import sys

import pytest

_FETCH_AND_FREE = """
import resource, sys, threading
import numpy as np
from valle.process import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()

def fetch_and_free():
    for _ in range(50):
        np.ones(5_000_000, np.float32)

fetch_and_free()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
thread = threading.Thread(target=fetch_and_free)
thread.start()
thread.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _pages_fetched(what: str) -> int:
    answer = subprocess.run([sys.executable, "-c", _FETCH_AND_FREE, what], capture_output=True, text=True, check=True)
    return int(answer.stdout)


@pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="glibc only")
def test_large_buffers_are_kept_for_the_next_one_in_threads_too() -> None:
    assert _pages_fetched("keep") * 10 < _pages_fetched("give back")
