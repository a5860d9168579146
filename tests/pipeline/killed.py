"""Fault injection: run the pipeline in child processes and kill each at a random moment.

`python -m tests.pipeline.killed CORPUS DATA KILLS [quantize]`. The children are forked from a process that has imported
everything and opened nothing, so that a kill costs no interpreter start. With `quantize` every kill comes while a child
encodes: it announces its beginning.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.pipeline.prepared import QUICK, folder_corpus, run_pipeline
from tests.pipeline.prepared import main as run
from valle.data_root import open_data_root
from valle.stages.quantize import Quantize


def _child(arguments: Sequence[str], announce: int | None = None) -> int:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            if announce is None:
                run(arguments)
            else:
                _run_and_announce(*arguments, announce=announce)
            status = 0
        finally:
            os._exit(status)
    return pid


def _run_and_announce(corpus: str, data: str, *, announce: int) -> None:
    """Run the pipeline; write a byte when only `quantize` is left. It encodes one utterance after the other."""
    lake = open_data_root(Path(data)).lake
    clips = folder_corpus(Path(corpus))
    run_pipeline(clips, lake, QUICK[:-1])
    os.write(announce, b"q")
    run_pipeline(clips, lake, [Quantize(batch_seconds=0.01)])


def kill_in_quantize(corpus: str, data: str, kills: int) -> int:
    """Kill `kills` runs while they encode; return how many kills met one at work."""
    draw = random.Random(17)
    met = 0
    for _ in range(kills):
        reading, writing = os.pipe()
        pid = _child([corpus, data], writing)
        os.close(writing)
        os.read(reading, 1)
        time.sleep(draw.uniform(0.0, 0.5))
        done, _ = os.waitpid(pid, os.WNOHANG)
        if done == 0:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            met += 1
        os.close(reading)
    return met


def kill_anywhere(corpus: str, data: str, kills: int) -> int:
    """Kill `kills` runs at random moments; return how many kills met one at work."""
    draw = random.Random(7)
    met = 0
    # A run is killed after a time that grows slowly, so that kills fall into every stage of the pipeline.
    for number in range(kills):
        pid = _child([corpus, data])
        time.sleep(draw.uniform(0.05, 0.6 + 0.05 * number))
        done, _ = os.waitpid(pid, os.WNOHANG)
        if done == 0:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            met += 1
    return met


def main(corpus: str, data: str, kills: int, stage: str | None = None) -> None:
    """Kill `kills` runs, then let one finish; print how many kills met a running child."""
    met = kill_anywhere(corpus, data, kills) if stage is None else kill_in_quantize(corpus, data, kills)
    _, status = os.waitpid(_child([corpus, data]), 0)
    sys.stdout.write(f"{met}\n")
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
