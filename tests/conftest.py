"""Settings of all tests: one thread per model, no telemetry, and a Prefect server only for those that ask for one."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("DS_ACCELERATOR", "cpu")
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["DO_NOT_TRACK"] = "1"

_PATIENCE = 180.0
"""Seconds that a server may take to start; on a quiet machine it is ten."""


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A private Prefect server with its own database, started once for the session."""
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.logging.handlers import APILogWorker
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from tests.local_server import free_port, wait_until

    home, port = tmp_path_factory.mktemp("prefect"), free_port()
    url = f"http://127.0.0.1:{port}/api"
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.server.prefect_server", "--port", str(port), "--no-services"],
            env=os.environ | {"PREFECT_HOME": str(home), "PREFECT_SERVER_LOGGING_LEVEL": "WARNING"},
            stdout=log,
            stderr=log,
        )

    def answers() -> bool:
        assert process.poll() is None, (home / "server.log").read_text()
        return client.api_healthcheck() is None

    try:
        with SyncPrefectClient(url) as client:
            wait_until(answers, _PATIENCE)
        with temporary_settings({PREFECT_API_URL: url}):
            yield
            APILogWorker.instance().drain()
    finally:
        process.terminate()
        process.wait(_PATIENCE)


@pytest.fixture(autouse=True)
def verbosity_of_each_test_alone() -> Iterator[None]:
    """Restore the verbosity that a command in this process has set: processes of later tests would inherit it."""
    before = os.environ.get("VALLE_VERBOSITY")
    yield
    if before is None:
        os.environ.pop("VALLE_VERBOSITY", None)
    else:
        os.environ["VALLE_VERBOSITY"] = before
