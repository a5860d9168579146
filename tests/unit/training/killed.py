"""Fault injection into the trainer: `python -m tests.unit.training.killed FOLDER KILLS`.

A run without kills, and one that is killed again and again at random moments and continued each time. The children are
forked from a process that has imported everything and trained nothing.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

from tests.unit.training.toy import make_toy_set
from valle.training.loop import train
from valle.training.options import TrainOptions

STEPS = 30


def options_below(folder: Path, name: str) -> TrainOptions:
    """The options of a run of the toy set that saves after every third step."""
    return TrainOptions(
        training_set=folder / "toy/training_sets/toy",
        run_dir=folder / name,
        model="nano",
        max_steps=STEPS,
        batch_tokens=300,
        prompt_seconds=(0.1, 0.2),
        save_every=3,
        log_every=5,
    )


def _child(options: TrainOptions) -> int:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            train(options)
            status = 0
        finally:
            os._exit(status)
    return pid


def _finish(options: TrainOptions) -> None:
    _, status = os.waitpid(_child(options), 0)
    assert os.waitstatus_to_exitcode(status) == 0


def main(folder: Path, kills: int) -> None:
    """Kill `kills` runs, then let one finish; print how many kills met a run at work."""
    make_toy_set(folder / "toy")
    started = time.monotonic()
    _finish(options_below(folder, "calm"))
    seconds = time.monotonic() - started
    draw = random.Random(3)
    met = 0
    killed = options_below(folder, "killed")
    for _ in range(kills):
        pid = _child(killed)
        # Short lives, so that one run is killed many times before its end.
        time.sleep(draw.uniform(0.05, 0.4) * seconds)
        done, _ = os.waitpid(pid, os.WNOHANG)
        if done == 0:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            met += 1
    _finish(killed)
    sys.stdout.write(f"{met}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
