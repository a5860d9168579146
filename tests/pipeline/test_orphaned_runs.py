"""A run whose process is gone ends for the server, also when the server was killed while it was about to say so."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.events.schemas.automations import EventTrigger
from prefect.states import Completed, Pending, Running

from flows.server.deploy import automations
from tests.local_server import free_port, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.long]


@flow(name="gone")
def gone() -> None:
    """Never called: its runs have no process."""


@contextmanager
def server(home: Path, port: int) -> Iterator[SyncPrefectClient]:
    """A server that is killed at the end."""
    command = [sys.executable, "-m", "flows.server.prefect_server", "--host", "0.0.0.0", "--port", str(port)]
    quiet = {"PREFECT_HOME": str(home), "PREFECT_SERVER_LOGGING_LEVEL": "WARNING"}
    with (home / "server.log").open("ab") as log:
        process = subprocess.Popen(command, env=os.environ | quiet, stdout=log, stderr=log)
    try:
        with SyncPrefectClient(f"http://127.0.0.1:{port}/api") as client:
            wait_until(lambda: process.poll() is None and client.api_healthcheck() is None, 180)
            yield client
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(300)


def state_of(client: SyncPrefectClient, run: UUID) -> str:
    state = client.read_flow_run(run).state
    assert state is not None
    return state.name


def test_a_server_that_starts_again_ends_the_runs_it_had_lost_sight_of(tmp_path: Path) -> None:
    port = free_port()
    with server(tmp_path, port) as client:
        run = client.create_flow_run(gone, state=Running()).id
        ended = client.create_flow_run(gone, state=Completed()).id
        about_to = client.create_flow_run(gone, state=Pending()).id
        # Registered after the states were heard of, so no automation waits for these runs: as if each had just decided.
        time.sleep(5)
        dead, lost = automations(heartbeat_seconds=4)
        assert isinstance(dead.trigger, EventTrigger)
        quickly = lost.trigger.model_copy(update={"within": dead.trigger.within})
        for automation in (dead, lost.model_copy(update={"trigger": quickly})):
            client.create_automation(automation)
        assert state_of(client, run) == "Running"
    with server(tmp_path, port) as client:
        wait_until(lambda: state_of(client, run) == "Crashed", 120)
        wait_until(lambda: state_of(client, about_to) == "Crashed", 120)
        assert state_of(client, ended) == "Completed"
