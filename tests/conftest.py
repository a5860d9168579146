"""What all tests share: one thread per model, no telemetry, and a Prefect server only for those that ask for one."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("DS_ACCELERATOR", "cpu")
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"

_PATIENCE = 180.0
"""Seconds that a server may take to start; on a quiet machine it is ten."""


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A private Prefect server with a database of its own, started once for the session: the one of a station."""
    from prefect.logging.handlers import APILogWorker
    from prefect.settings import PREFECT_API_URL, temporary_settings

    home, port = tmp_path_factory.mktemp("prefect"), _free_port()
    url = f"http://127.0.0.1:{port}/api"
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.operations.server", "start", "--port", str(port), "--no-services"],
            env=os.environ | {"PREFECT_HOME": str(home), "PREFECT_SERVER_LOGGING_LEVEL": "WARNING"},
            stdout=log,
            stderr=log,
        )
    try:
        _wait(process, url, home)
        with temporary_settings({PREFECT_API_URL: url}):
            yield
            APILogWorker.instance().drain()
    finally:
        process.terminate()
        process.wait(30)


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], url: str, home: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, (home / "server.log").read_text()
        try:
            with urlopen(f"{url}/health", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(f"no server after {_PATIENCE:g} s: {(home / 'server.log').read_text()}")
