"""A trainer as a child process of a flow.

The child stays in the process group of the flow (a new session would outlive a cancelled run) and gets SIGTERM when
the flow ends early; it saves a checkpoint and stops.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prefect import get_run_logger

from warehouse.errors import TrainingError

_SECONDS_TO_SAVE = 60


def run_child(module_and_arguments: Sequence[str], *, of: str) -> None:
    """Run `python -m MODULE ARGUMENTS`, its lines in the log of the flow.

    Raises TrainingError with its last words when it fails; `of` says what failed.
    """
    logger = get_run_logger()
    last = ""
    with _child(module_and_arguments) as process:
        assert process.stdout is not None
        for line in process.stdout:
            last = line.rstrip()
            logger.info("%s", last)
        if process.wait() != 0:
            raise TrainingError(f"{of} failed: {last}")


@contextmanager
def _child(module_and_arguments: Sequence[str]) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", *module_and_arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_SECONDS_TO_SAVE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
