"""End a command on SIGTERM and Ctrl-C without waiting for the shards in progress.

Prefect turns SIGTERM into an exception in the main thread, then waits until the threads of the task runner finish their
shards, which may need many minutes. Commits to the lake are atomic and the next run does what is missing, so after a
few seconds the process leaves unfinished shards.
"""

import atexit
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import TerminationSignal
from prefect.runtime import flow_run
from prefect.states import Crashed

from flows.runtime.cancellation import watch_for_cancellation

STOPPED = "valle: stopped; committed work is kept, and the next run does the rest."
_SECONDS_FOR_SHARDS = 3.0
_SECONDS_TO_REPORT = 2.0


@contextmanager
def leave_shards_when_stopped() -> Iterator[None]:
    """Let a signal that ends the body end the process a few seconds later, even if shards are in progress.

    The cancellation of the run is such a signal.
    """
    try:
        with watch_for_cancellation():
            yield
    # SystemExit: `exit_on_sigterm` in a command without a server, where Prefect raises nothing.
    except (TerminationSignal, KeyboardInterrupt, SystemExit) as stop:
        number = signal.SIGINT if isinstance(stop, KeyboardInterrupt) else signal.SIGTERM
        timer = threading.Timer(_SECONDS_FOR_SHARDS, _leave, (number, flow_run.id, isinstance(stop, SystemExit)))
        # A daemon: a process that ends earlier does not wait for it.
        timer.daemon = True
        timer.start()
        raise


def exit_on_sigterm() -> None:
    """Let SIGTERM end this process with one sentence where Prefect does not handle it. Call it in the main thread."""

    def stop(number: int, frame: FrameType | None) -> None:
        _print_stopped()
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, stop)


def _leave(number: int, run: str | None, is_announced: bool) -> None:
    """End the process now: report to Prefect, stop worker processes and a private server, abandon the threads."""
    if run:
        report = threading.Thread(target=_report_crash, args=(run,), daemon=True)
        report.start()
        report.join(_SECONDS_TO_REPORT)
    for worker in multiprocessing.active_children():
        worker.terminate()
    if not is_announced:
        _print_stopped()
    logging.disable()  # an abandoned thread may hold the lock of a handler's stream
    # `os._exit` skips the exit handlers, one of which ends the private server. There is no public function for them.
    atexit._run_exitfuncs()
    os._exit(128 + number)


def _report_crash(run: str) -> None:
    state: State[None] = Crashed(message="Stopped by a signal; committed work is kept.")
    try:
        with get_client(sync_client=True) as client:
            current = client.read_flow_run(UUID(run)).state
            if current is not None and current.is_running():  # a run that is being cancelled stays so
                client.set_flow_run_state(UUID(run), state, force=True)
    except Exception:  # noqa: BLE001 - the process ends now, for any reason that the server is not reached
        logging.getLogger(__name__).warning("Prefect was not told that run %s stopped", run)


def _print_stopped() -> None:
    sys.stderr.write(STOPPED + "\n")
    sys.stderr.flush()
