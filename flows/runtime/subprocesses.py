"""Subprocesses of a flow, such as a trainer, that end with the flow and have time to save.

Prefect ends a run by SIGTERM to the process group of the flow, which includes the subprocess. In all other cases this
module ends the subprocess, or the kernel does if the flow is killed. Checkpoints saved before are complete.
"""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import psutil

from flows.runtime.cancellation import watch_for_cancellation
from flows.runtime.parent_death import dependent_command, dependent_environment
from flows.runtime.where import is_on_server, run_logger
from warehouse.errors import TrainingError

# Together with the delay of the cancellation watcher less than the 15 s that a cancelled run may use.
_SECONDS_TO_SAVE = 8.0


def run_module(
    module: str,
    arguments: Sequence[str],
    *,
    what: str,
    on_output: Callable[[], object] | None = None,
    has_commands: bool = False,
) -> None:
    """Run `python -m MODULE ARGUMENTS` and log its lines; `on_output` is called after each line.

    A module that `has_commands` reads the terminal of the command, where there is one.

    Raises TrainingError with the last line when the module fails; `what` is the subject of its sentence.
    """
    logger = run_logger()
    last = ""
    with (
        _subprocess(module, arguments, reads_terminal=has_commands and has_terminal()) as process,
        watch_for_cancellation(),
    ):
        assert process.stdout is not None
        for line in process.stdout:
            last = line.rstrip()
            logger.info("%s", last)
            if on_output is not None:
                on_output()
        if process.wait() != 0:
            raise TrainingError(f"{what} failed: {last}")


def has_terminal() -> bool:
    """Return whether a person can type to this process: a command in a terminal, no run of a worker."""
    return not is_on_server() and sys.stdin is not None and sys.stdin.isatty()


@contextmanager
def _subprocess(module: str, arguments: Sequence[str], *, reads_terminal: bool) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        dependent_command(module, arguments),
        env=dependent_environment(),
        stdin=None if reads_terminal else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,  # one stream keeps the order of the lines
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            with _ignore_sigterm():
                terminate_process_tree(process.pid, _SECONDS_TO_SAVE)
                process.wait()


@contextmanager
def _ignore_sigterm() -> Iterator[None]:
    """Ignore a second SIGTERM, which would leave the subprocess behind while it saves."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


def terminate_process_tree(pid: int, seconds: float) -> None:
    """Send SIGTERM to a process and all its descendants, and SIGKILL to those that live after `seconds`."""
    try:
        root = psutil.Process(pid)
        tree = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    # All at once: a launcher that ends first would leave its ranks without a parent to find them by.
    for process in tree:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(tree, timeout=seconds)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
