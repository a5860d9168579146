"""The Prefect server of a command: the configured one with its password, or a private one with a random password."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_KEY,
    PREFECT_API_URL,
    PREFECT_SERVER_API_AUTH_STRING,
    PREFECT_SERVER_CORS_ALLOWED_ORIGINS,
    temporary_settings,
)
from prefect.settings.legacy import Setting

from flows.server.local_server import load_local_server
from flows.server.password import read_password


@contextmanager
def connect_to_prefect(data: Path) -> Iterator[None]:
    """Let the body use the configured server, or a private one that is protected like the local server of `data`."""
    with temporary_settings(connection_settings(data)):
        yield


def connection_settings(data: Path) -> dict[Setting, str]:
    """Return the settings that the configured server of a command needs in addition."""
    url = PREFECT_API_URL.value()
    if url is None:
        # Prefect starts a server for this process, by default for pages of all origins and without a password.
        password = f"valle:{secrets.token_urlsafe(24)}"
        return {
            PREFECT_API_AUTH_STRING: password,
            PREFECT_SERVER_API_AUTH_STRING: password,
            PREFECT_SERVER_CORS_ALLOWED_ORIGINS: "http://127.0.0.1",
        }
    if PREFECT_API_AUTH_STRING.value() is not None or PREFECT_API_KEY.value() is not None:
        return {}
    server = load_local_server(data)
    if server is None or server.api_url != url:
        return {}
    return {PREFECT_API_AUTH_STRING: read_password(server.home)}
