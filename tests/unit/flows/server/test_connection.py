"""The server of a command: the configured one with its password, or a private one that refuses others."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_KEY,
    PREFECT_API_URL,
    PREFECT_SERVER_API_AUTH_STRING,
    PREFECT_SERVER_CORS_ALLOWED_ORIGINS,
    temporary_settings,
)

from flows.server.connection import connection_settings
from flows.server.local_server import LocalServer
from flows.server.password import create_password

ROOT = Path(__file__).parents[4]
ASK_PRIVATE_SERVER = """
import sys
from pathlib import Path
import httpx
from prefect import flow
from prefect.client.orchestration import get_client
from flows.server.connection import connect_to_prefect

@flow
def ask():
    with get_client(sync_client=True) as client:
        own = client.request("POST", "/flows/count", json={}).status_code
        url = str(client.api_url).rstrip("/")
    foreign = httpx.options(f"{url}/flows/count", headers={
        "origin": "http://evil.example", "access-control-request-method": "POST"})
    without_password = httpx.post(f"{url}/flows/count", json={}).status_code
    return own, without_password, foreign.headers.get("access-control-allow-origin")

with connect_to_prefect(Path(sys.argv[1])):
    print(ask())
"""


def test_the_local_server_of_the_data_root_is_asked_with_its_password(tmp_path: Path) -> None:
    server = LocalServer(data=tmp_path, host="127.0.0.1", port=4242)
    server.save()
    password = create_password(server.home)
    with temporary_settings(updates={PREFECT_API_URL: server.api_url}):
        assert connection_settings(tmp_path) == {PREFECT_API_AUTH_STRING: password}


@pytest.mark.parametrize("given", [{PREFECT_API_AUTH_STRING: "a:b"}, {PREFECT_API_KEY: "key"}, {}])
def test_another_server_never_gets_the_password_of_the_local_one(tmp_path: Path, given: dict[object, str]) -> None:
    server = LocalServer(data=tmp_path, host="127.0.0.1", port=4242)
    server.save()
    create_password(server.home)
    with temporary_settings(updates={PREFECT_API_URL: "http://other.example/api", **given}):
        assert connection_settings(tmp_path) == {}


def test_two_private_servers_have_different_passwords(tmp_path: Path) -> None:
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        first, second = connection_settings(tmp_path), connection_settings(tmp_path)
    assert first[PREFECT_API_AUTH_STRING] == first[PREFECT_SERVER_API_AUTH_STRING]
    assert first[PREFECT_API_AUTH_STRING] != second[PREFECT_API_AUTH_STRING]
    assert first[PREFECT_SERVER_CORS_ALLOWED_ORIGINS] == "http://127.0.0.1"


@pytest.mark.slow
@pytest.mark.long
def test_a_private_server_answers_its_own_process_only(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
    private = {
        "PREFECT_HOME": str(tmp_path),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
    }
    asked = subprocess.run(
        [sys.executable, "-c", ASK_PRIVATE_SERVER, str(tmp_path)],
        cwd=ROOT, env=environment | private, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout == "(200, 401, None)\n"
