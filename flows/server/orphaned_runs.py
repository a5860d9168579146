"""Announce at the start of a server which runs it believes to be active.

Automations crash a run whose process is gone (`deploy.py`). Their counts are in the database, but a decision that is
due waits in memory: a run that was to crash when the server was killed would stay Running for ever. So every server
re-emits at its start an event for each active run, which arms the automations again; live runs send a heartbeat within
half a minute and disarm them.
"""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from uuid import uuid4

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_SERVER_API_AUTH_STRING

RUNNING = "valle.flow-run.found-running"
PENDING = "valle.flow-run.found-pending"
_EVENTS = {StateType.RUNNING: RUNNING, StateType.PENDING: PENDING}
# Prefect returns at most 200 objects per request.
_PAGE = 200
_SECONDS_TO_START = 300.0
# From the first answer of the API until the automations receive events.
_SECONDS_TO_LISTEN = 5.0


def announce_when_started(api_url: str) -> None:
    """Announce the active runs of the server that this process starts at `api_url`, in a thread."""
    threading.Thread(target=_announce_at, args=(api_url,), name="announce-runs", daemon=True).start()


def announce_active_runs(client: SyncPrefectClient) -> None:
    """Emit an event for each run that the server holds as Running or Pending."""
    events = [_event(run) for run in _active_runs(client)]
    for start in range(0, len(events), _PAGE):
        client.request("POST", "/events", json=events[start : start + _PAGE]).raise_for_status()


def _announce_at(url: str) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    with SyncPrefectClient(url, auth_string=PREFECT_SERVER_API_AUTH_STRING.value()) as client:
        while client.api_healthcheck() is not None:
            if time.monotonic() > deadline:
                return
            time.sleep(1.0)
        # The API answers before the automations subscribe to events.
        time.sleep(_SECONDS_TO_LISTEN)
        try:
            announce_active_runs(client)
        except (httpx.HTTPError, PrefectHTTPStatusError):
            return  # The server ends already; the next one announces the runs.


def _active_runs(client: SyncPrefectClient) -> Iterator[FlowRun]:
    states = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(_EVENTS))))
    # Prefect returns at most 200 runs per request.
    for page in count():
        runs = client.read_flow_runs(flow_run_filter=states, limit=_PAGE, offset=page * _PAGE)
        yield from runs
        if len(runs) < _PAGE:
            return


def _event(run: FlowRun) -> dict[str, object]:
    assert run.state is not None, "runs are found by their state"
    return {
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": _EVENTS[run.state.type],
        "resource": {"prefect.resource.id": f"prefect.flow-run.{run.id}", "prefect.resource.name": run.name},
    }
