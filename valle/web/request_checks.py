"""Checks of requests before Prefect handles them: the Host header and the Origin header.

A web page of any origin can send requests to 127.0.0.1, and with DNS rebinding it can read the answers: its own name
then resolves to this machine. The browser tells both in headers that the page cannot change.
"""

import socket
from collections.abc import Sequence

import psutil
from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class OriginCheck:
    """ASGI middleware that answers 403 to requests and web sockets of pages from foreign origins.

    Requests without an Origin header do not come from a page of another origin and pass.
    """

    def __init__(self, app: ASGIApp, allowed_origins: Sequence[str]) -> None:
        self.app = app
        self.allowed_origins = frozenset(allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on or refuse it."""
        # Web sockets too: browsers do not apply CORS to them.
        origin = Headers(scope=scope).get("origin") if scope["type"] in ("http", "websocket") else None
        if origin is not None and origin not in self.allowed_origins and "*" not in self.allowed_origins:
            await PlainTextResponse(f"Pages of {origin} may not use this server.", 403)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def guard(app: ASGIApp, *, hosts: Sequence[str], origins: Sequence[str]) -> ASGIApp:
    """Wrap `app` so that it answers only to the host names `hosts` and to pages of `origins`.

    The wrapper is outside the application: the server's own in-process clients use a host name of their own.
    """
    return TrustedHostMiddleware(OriginCheck(app, origins), allowed_hosts=list(hosts), www_redirect=False)


def names_of_machine(host: str) -> tuple[str, ...]:
    """Return the names and addresses under which a server that listens on `host` is reached."""
    local = ("127.0.0.1", "localhost", host)
    if host != "0.0.0.0":
        return tuple(dict.fromkeys(local))
    addresses = [address.address for found in psutil.net_if_addrs().values() for address in found]
    return tuple(dict.fromkeys((*local, socket.gethostname(), socket.getfqdn(), *addresses)))
