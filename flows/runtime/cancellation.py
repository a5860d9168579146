"""A run that its server has given up ends itself.

Prefect's worker ends a cancelled run. A worker that has lost the server for half a minute does not hear of it any more,
and one that was killed hears nothing; so a run at work also asks for itself, every few seconds. The worker comes first:
a run that ends itself is Crashed, one that its worker ends is Cancelled.
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
_LOOKS_FOR_WORKER = 1


@contextmanager
def leash() -> Iterator[None]:
    """While the body works for a run of a deployment: SIGTERM to this process once the run is cancelled or ended."""
    if deployment.id is None or not flow_run.id:
        yield
        return
    let_go = threading.Event()
    watch = threading.Thread(target=_watch, args=(UUID(flow_run.id), let_go), name="leash", daemon=True)
    watch.start()
    try:
        yield
    finally:
        let_go.set()


def _watch(run: UUID, let_go: threading.Event) -> None:
    cancelling = 0
    while not let_go.wait(_SECONDS):
        try:
            with get_client(sync_client=True) as client:
                while not let_go.wait(_SECONDS):
                    state = client.read_flow_run(run).state
                    if state is None:
                        continue
                    cancelling += state.is_cancelling()
                    if (cancelling > _LOOKS_FOR_WORKER or state.is_final()) and not let_go.is_set():
                        os.kill(os.getpid(), signal.SIGTERM)
                        return
        except (httpx.HTTPError, RuntimeError):
            continue  # the server is down; the work goes on
