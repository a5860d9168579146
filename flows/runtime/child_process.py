"""A trainer as a child process of a flow.

Prefect ends a run by SIGTERM to the process group of the flow, in which the child stays. Whatever else ends the flow
early ends the child too: this module does, or the kernel if the flow is killed. The child has a few seconds to save a
checkpoint; the ones that it saved before are complete whatever happens.
"""

import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import psutil
from prefect import get_run_logger

from flows.runtime.cancellation import leash
from flows.runtime.parent_death import tethered_command, tethered_environment
from warehouse.errors import TrainingError

_SECONDS_TO_SAVE = 8.0
"""With the few seconds after which the leash pulls it is less than the 15 s that a cancelled run may take."""


def run_child(module_and_arguments: Sequence[str], *, of: str, on_line: Callable[[str], object] | None = None) -> None:
    """Run `python -m MODULE ARGUMENTS`, its lines in the log of the flow; `on_line` is told each of them.

    Raises TrainingError with its last words when it fails; `of` says what failed.
    """
    logger = get_run_logger()
    last = ""
    with _child(module_and_arguments) as process, leash():
        assert process.stdout is not None
        for line in process.stdout:
            last = line.rstrip()
            logger.info("%s", last)
            if on_line is not None:
                on_line(last)
        if process.wait() != 0:
            raise TrainingError(f"{of} failed: {last}")


@contextmanager
def _child(module_and_arguments: Sequence[str]) -> Iterator["subprocess.Popen[str]"]:
    module, *arguments = module_and_arguments
    process = subprocess.Popen(
        tethered_command(module, arguments),
        env=tethered_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            with _no_second_signal():
                end_family(process.pid, _SECONDS_TO_SAVE)
                process.wait()


@contextmanager
def _no_second_signal() -> Iterator[None]:
    """Another SIGTERM while the child saves must not leave it behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


def end_family(pid: int, seconds: float) -> None:
    """Ask a process and all its descendants to end, and kill what is left after `seconds`."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for one in family:
        _tell(one, psutil.Process.terminate)
    _, alive = psutil.wait_procs(family, timeout=seconds)
    for one in alive:
        _tell(one, psutil.Process.kill)


def _tell(process: psutil.Process, what: Callable[[psutil.Process], None]) -> None:
    try:
        what(process)
    except psutil.NoSuchProcess:
        return  # it has ended by itself
