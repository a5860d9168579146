"""A throw-away local server for tests: the real server and workers, in their own folder and on their own port."""

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psutil
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun

from flows.server.local_server import LocalServer
from flows.server.options import UpOptions
from flows.server.password import read_password
from flows.server.up import bring_down, bring_up, remaining_processes


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def throwaway_server(data: Path) -> Iterator[tuple[LocalServer, SyncPrefectClient]]:
    """Start a local server below `data`, and end it with all of its processes."""
    try:
        server = bring_up(UpOptions(data=data, port=free_port())).server
        with SyncPrefectClient(server.api_url, auth_string=read_password(server.home)) as client:
            yield server, client
    finally:
        bring_down(data)
        assert list(remaining_processes(data / "prefect")) == []


def start(client: SyncPrefectClient, deployment: str, parameters: Mapping[str, Any]) -> UUID:
    """Start a deployment FLOW/NAME."""
    found = client.read_deployment_by_name(deployment)
    return client.create_flow_run_from_deployment(found.id, parameters={"parameters": dict(parameters)}).id


def wait_for_run(client: SyncPrefectClient, run: UUID, seconds: float) -> FlowRun:
    """Wait until a run is in a final state and return it."""

    def ended() -> FlowRun | None:
        found = client.read_flow_run(run)
        return found if found.state is not None and found.state.is_final() else None

    return wait_until(ended, seconds, pause=1.0)  # a busy server has better things to do


def wait_until(condition: Callable[[], Any], seconds: float, *, pause: float = 0.3) -> Any:
    """Return the first true value of `condition`, also of a server that is down at first; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if answer := condition():
                return answer
        except httpx.HTTPError:
            if time.monotonic() > deadline:
                raise
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(pause)


def processes_of_run(server: LocalServer, run: UUID) -> list[psutil.Process]:
    """Every process that works for a flow run, the flow itself first."""
    found = []
    for process in remaining_processes(server.home):
        try:
            if process.environ().get("PREFECT__FLOW_RUN_ID") == str(run):
                found.append(process)
        except psutil.Error:
            continue
    return sorted(found, key=lambda process: process.pid)


def words(process: psutil.Process) -> str:
    """Return the command line of a process, empty when it is gone."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
