"""The Prefect server of a command: the configured one with its password, or a private one with a random password."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectHTTPStatusError
from prefect.logging.configuration import setup_logging
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
from warehouse.errors import DependencyError


def set_up_logging() -> None:
    """Let Prefect set up the handlers of this process; it does so once, later set-ups change levels only."""
    setup_logging()


@contextmanager
def connect_to_prefect(data: Path) -> Iterator[None]:
    """Let the body use the configured server, or a private one that is protected like the local server of `data`.

    Raises DependencyError when the server does not answer or refuses the password.
    """
    setup_logging()
    with temporary_settings(connection_settings(data)):
        url = PREFECT_API_URL.value()
        if url is not None:
            _require_answer(url)
        yield


def is_server_configured() -> bool:
    """Return whether the environment or Prefect's profile names a server."""
    return PREFECT_API_URL.value() is not None


def _require_answer(url: str) -> None:
    """Ask before the flow does: it would end in Prefect's own exceptions."""
    with get_client(sync_client=True) as client:
        problem = client.api_healthcheck()
        if problem is not None:
            raise DependencyError(
                f"The Prefect server at {url} does not answer ({type(problem).__name__}); start it with `valle up`, or "
                "unset PREFECT_API_URL for a private server."
            )
        try:
            client.read_work_pools(limit=1)
        except PrefectHTTPStatusError as error:
            raise DependencyError(
                f"The Prefect server at {url} refuses this command ({error.response.status_code}); set "
                "PREFECT_API_AUTH_STRING to its password, `valle up --show-password` prints it."
            ) from error


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
    # An auth string replaces the key of Prefect Cloud, and no other server may receive the local password.
    if PREFECT_API_AUTH_STRING.value() is not None or PREFECT_API_KEY.value() is not None:
        return {}
    server = load_local_server(data)
    if server is None or server.api_url != url:
        return {}
    return {PREFECT_API_AUTH_STRING: read_password(server.home)}
