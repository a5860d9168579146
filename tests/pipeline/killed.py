"""Fault injection: run the road in child processes and kill each at a random moment.

`python -m tests.pipeline.killed CORPUS DATA KILLS`. The children are forked from a process that has imported
everything and opened nothing, so that a kill costs no interpreter start.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Sequence

from tests.pipeline.road import main as run


def _child(arguments: Sequence[str]) -> int:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            run(arguments)
            status = 0
        finally:
            os._exit(status)
    return pid


def main(corpus: str, data: str, kills: int) -> None:
    """Kill `kills` runs, then let one finish; print how many kills met a running child."""
    draw = random.Random(7)
    met = 0
    # A run is killed after a time that grows slowly, so that kills fall into every part of the road.
    for number in range(kills):
        pid = _child([corpus, data])
        time.sleep(draw.uniform(0.05, 0.6 + 0.05 * number))
        done, _ = os.waitpid(pid, os.WNOHANG)
        if done == 0:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            met += 1
    _, status = os.waitpid(_child([corpus, data]), 0)
    sys.stdout.write(f"{met}\n")
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
