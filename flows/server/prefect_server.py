"""`python -m flows.server.prefect_server --host HOST --port PORT`: Prefect's server with checks and patches.

It serves the application of `prefect server start` behind `request_checks`, with the patches of `prefect_patches`, and
re-announces the runs that were active when the server stopped (`orphaned_runs`).
"""

import argparse
import sys
from collections.abc import Sequence

import uvicorn
from prefect.server.api.server import create_app
from prefect.settings import (
    PREFECT_API_DATABASE_CONNECTION_URL,
    PREFECT_SERVER_API_HOST,
    PREFECT_SERVER_API_KEEPALIVE_TIMEOUT,
    PREFECT_SERVER_API_PORT,
    PREFECT_SERVER_CORS_ALLOWED_ORIGINS,
    PREFECT_SERVER_LOGGING_LEVEL,
)

from flows.server.orphaned_runs import announce_when_started
from flows.server.prefect_patches import apply_server_patches
from valle.web.request_checks import guard, names_of_machine


def main(arguments: Sequence[str]) -> None:
    """Serve until SIGTERM."""
    options = _parse(arguments)
    apply_server_patches(PREFECT_API_DATABASE_CONNECTION_URL.value())
    app = guard(
        create_app(final=True, webserver_only=options.no_services),
        hosts=(*names_of_machine(options.host), *options.allow_host),
        origins=PREFECT_SERVER_CORS_ALLOWED_ORIGINS.value().split(","),
    )
    announce_when_started(f"http://{'127.0.0.1' if options.host == '0.0.0.0' else options.host}:{options.port}/api")
    uvicorn.run(
        app,
        host=options.host,
        port=options.port,
        timeout_keep_alive=PREFECT_SERVER_API_KEEPALIVE_TIMEOUT.value(),
        log_level=PREFECT_SERVER_LOGGING_LEVEL.value().lower(),
    )


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m flows.server.prefect_server")
    parser.add_argument("--host", default=PREFECT_SERVER_API_HOST.value())
    parser.add_argument("--port", type=int, default=PREFECT_SERVER_API_PORT.value())
    parser.add_argument("--allow-host", action="append", default=[], help="a further host name of this server")
    parser.add_argument("--no-services", action="store_true", help="no scheduler, no automations")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
