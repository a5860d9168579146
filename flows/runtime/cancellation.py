"""The cancellation watcher: a thread that ends a flow run when its server has cancelled it.

Prefect's worker ends a cancelled run. A worker that was killed, or that lost the server for half a minute, does not
learn of the cancellation; so the run itself asks every few seconds. The worker has the first chance: a run that ends
itself is Crashed, a run that its worker ends is Cancelled.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.runtime import deployment, flow_run

_SECONDS = 2.0
_POLLS_FOR_WORKER = 1


@contextmanager
def watch_for_cancellation() -> Iterator[None]:
    """Send SIGTERM to this process if the run of a deployment is cancelled or ended during the body."""
    if deployment.id is None or not flow_run.id:
        yield
        return
    done = threading.Event()
    arguments = (UUID(flow_run.id), done)
    threading.Thread(target=_watch, args=arguments, name="cancellation-watcher", daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _watch(run: UUID, done: threading.Event) -> None:
    polls_cancelling = 0
    while not done.wait(_SECONDS):
        try:
            # One connection for many polls; after an error a new one.
            with get_client(sync_client=True) as client:
                while not done.wait(_SECONDS):
                    state = client.read_flow_run(run).state
                    if state is None:
                        continue
                    # The first poll that sees Cancelling leaves the run to its worker.
                    polls_cancelling += state.is_cancelling()
                    if (polls_cancelling > _POLLS_FOR_WORKER or state.is_final()) and not done.is_set():
                        os.kill(os.getpid(), signal.SIGTERM)
                        return
        except (httpx.HTTPError, RuntimeError):
            continue  # The server is down: keep working and ask again.
