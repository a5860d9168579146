"""Ending on SIGTERM and Ctrl-C without waiting for the shard that is being done.

Prefect turns SIGTERM into an exception in the main thread, and then waits until the threads of the task runner are
through with their shards, which may take many minutes. Commits to the lake are atomic and the next run does what is
missing, so nothing is lost by not waiting: whatever is not done after a few seconds is left.
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

from flows.runtime.cancellation import leash

STOPPED = "valle: stopped; what is done stays done, and the next run does the rest."
_SECONDS_FOR_SHARDS = 3.0
_SECONDS_TO_REPORT = 2.0


@contextmanager
def leave_shards_when_stopped() -> Iterator[None]:
    """A signal that ends the body also ends the process, a few seconds later, should shards still be at work.

    Cancelling the run is such a signal.
    """
    try:
        with leash():
            yield
    except (TerminationSignal, KeyboardInterrupt) as stop:
        number = signal.SIGINT if isinstance(stop, KeyboardInterrupt) else signal.SIGTERM
        timer = threading.Timer(_SECONDS_FOR_SHARDS, _leave, (number, flow_run.id))
        timer.daemon = True
        timer.start()
        raise


def exit_on_sigterm() -> None:
    """Let SIGTERM end this process with one sentence, wherever Prefect does not handle it. For the main thread."""

    def stop(number: int, frame: FrameType | None) -> None:
        _say_stopped()
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, stop)


def _leave(number: int, run: str | None) -> None:
    """End the process now: tell Prefect, stop the workers and the private server, leave the threads behind."""
    if run:
        report = threading.Thread(target=_report_crash, args=(run,), daemon=True)
        report.start()
        report.join(_SECONDS_TO_REPORT)
    for worker in multiprocessing.active_children():
        worker.terminate()
    _say_stopped()
    logging.disable()  # the handlers' streams may be held by a thread that is left behind
    atexit._run_exitfuncs()
    os._exit(128 + number)


def _report_crash(run: str) -> None:
    state: State[None] = Crashed(message="Stopped by a signal; what is done stays done.")
    try:
        with get_client(sync_client=True) as client:
            known = client.read_flow_run(UUID(run)).state
            if known is not None and known.is_running():  # not when somebody cancels it
                client.set_flow_run_state(UUID(run), state, force=True)
    except Exception:  # noqa: BLE001 - whatever it is, the process ends now
        logging.getLogger(__name__).warning("Prefect was not told that run %s stopped", run)


def _say_stopped() -> None:
    sys.stderr.write(STOPPED + "\n")
    sys.stderr.flush()
