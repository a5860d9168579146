"""Runs that a server finds at work when it starts are watched anew.

Automations set a run to Crashed whose process is gone (`register.py`). They count in the database, but what they have
decided to do waits in the memory of the server: a run that was to be set to Crashed just when the server was killed
would stay Running for ever. So each server says at its start, by an event that arms the automations, which runs it
takes to be alive; those that are send a heartbeat within half a minute.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from uuid import uuid4

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.settings import PREFECT_SERVER_API_AUTH_STRING, PREFECT_SERVER_API_HOST, PREFECT_SERVER_API_PORT

RUNNING = "valle.flow-run.found-running"
PENDING = "valle.flow-run.found-pending"
_EVENTS = {StateType.RUNNING: RUNNING, StateType.PENDING: PENDING}
_PAGE = 200
_SECONDS_TO_START = 300.0
_SECONDS_TO_LISTEN = 5.0
"""From the first answer of the API until the automations hear events."""


def watch_when_started(arguments: Sequence[str]) -> None:
    """Watch the runs of the server that `prefect server ARGUMENTS` is about to be in this process."""
    host = _argument("--host", arguments) or PREFECT_SERVER_API_HOST.value()
    port = _argument("--port", arguments) or PREFECT_SERVER_API_PORT.value()
    url = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}/api"
    threading.Thread(target=_watch_at, args=(url,), name="watch-runs", daemon=True).start()


def watch_runs(client: SyncPrefectClient) -> None:
    """Tell the server which runs it holds to be running or about to."""
    events = [_event(run) for run in _at_work(client)]
    for start in range(0, len(events), _PAGE):
        client.request("POST", "/events", json=events[start : start + _PAGE]).raise_for_status()


def _argument(name: str, arguments: Sequence[str]) -> str | None:
    """What follows `name` on a command line."""
    return arguments[arguments.index(name) + 1] if name in arguments[:-1] else None


def _watch_at(url: str) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    with SyncPrefectClient(url, auth_string=PREFECT_SERVER_API_AUTH_STRING.value()) as client:
        while client.api_healthcheck() is not None:
            if time.monotonic() > deadline:
                return
            time.sleep(1.0)
        time.sleep(_SECONDS_TO_LISTEN)
        try:
            watch_runs(client)
        except httpx.HTTPError:
            return  # It is ending already.


def _at_work(client: SyncPrefectClient) -> Iterator[FlowRun]:
    wanted = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(_EVENTS))))
    for page in count():
        runs = client.read_flow_runs(flow_run_filter=wanted, limit=_PAGE, offset=page * _PAGE)
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
