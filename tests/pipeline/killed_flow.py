"""Fault injection into the real flow: run `valle prepare` in child processes and SIGKILL each at a random moment.

`python -m tests.pipeline.killed_flow KILLS OPTIONS...`. The children are forked from a process that has imported
everything and opened nothing; their log lines tell how far they are.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Sequence

import flows.prepare
from tests.pipeline.prepared import import_all
from valle.cli import main as valle


def _child(options: Sequence[str]) -> tuple[int, int]:
    """Fork a child that runs the command; its process id and the end of its standard error to read."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(writing, 2)
        os.dup2(writing, 1)
        os.close(reading)
        status = 1
        try:
            status = valle(["--verbose", "prepare", *options])
        finally:
            sys.stderr.flush()
            os._exit(status)
    os.close(writing)
    return pid, reading


def main(kills: int, options: Sequence[str]) -> int:
    """Kill `kills` runs, then let one finish; print how many kills met a child at work."""
    assert flows.prepare.prepare is not None
    import_all()
    draw = random.Random(11)
    met = 0
    for _ in range(kills):
        pid, reading = _child(options)
        # The kill comes shortly after one of the first reports of progress.
        reports = draw.randint(2, 5)
        with os.fdopen(reading, "rb") as lines:
            for line in lines:
                reports -= b"clips: " in line
                if reports == 0:
                    break
        time.sleep(draw.uniform(0.0, 0.6))
        done, _ = os.waitpid(pid, os.WNOHANG)
        if done == 0:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            met += 1
    pid, reading = _child(options)
    with os.fdopen(reading, "rb") as lines:
        said = lines.read()
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    sys.stdout.write(f"{said.decode()}\n{met}\n" if code else f"{met}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
