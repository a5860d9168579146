"""Requests of foreign pages and for foreign host names do not reach the server."""

import asyncio
from collections.abc import Mapping

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from valle.web.request_checks import guard, names_of_machine


async def answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse("reached")


APP = guard(
    Starlette(routes=[Route("/", answer, methods=["GET", "POST", "OPTIONS"])]),
    hosts=names_of_machine("127.0.0.1"),
    origins=["http://127.0.0.1:4200", "http://localhost:4200"],
)


def ask(method: str, headers: Mapping[str, str]) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=APP)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:4200") as client:
            return await client.request(method, "/", headers=headers)

    return asyncio.run(send())


@pytest.mark.parametrize("headers", [{}, {"origin": "http://localhost:4200"}, {"host": "localhost:4200"}])
def test_requests_of_clients_and_of_its_own_pages_pass(headers: Mapping[str, str]) -> None:
    assert ask("POST", headers).text == "reached"


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:4201", "https://127.0.0.1:4200", "null"])
def test_pages_of_foreign_origins_are_refused(method: str, origin: str) -> None:
    found = ask(method, {"origin": origin})
    assert found.status_code == 403
    assert "access-control-allow-origin" not in found.headers


@pytest.mark.parametrize("host", ["evil.example", "evil.example:4200", "127.0.0.1.evil.example", ""])
def test_foreign_host_names_are_refused(host: str) -> None:
    assert ask("GET", {"host": host}).status_code == 400


def test_web_sockets_of_foreign_pages_are_refused() -> None:
    sent: list[Mapping[str, object]] = []
    headers = [(b"host", b"127.0.0.1:4200"), (b"origin", b"http://evil.example")]
    scope = {"type": "websocket", "path": "/", "headers": headers, "extensions": {"websocket.http.response": {}}}

    async def receive() -> dict[str, object]:
        return {"type": "websocket.connect"}

    async def send(message: Mapping[str, object]) -> None:
        sent.append(message)

    asyncio.run(APP(scope, receive, send))
    assert sent[0] == {"type": "websocket.http.response.start", "status": 403, "headers": sent[0]["headers"]}


def test_a_server_for_other_machines_is_reached_by_all_addresses_of_its_machine() -> None:
    names = names_of_machine("0.0.0.0")
    assert {"127.0.0.1", "localhost"} < set(names)
    assert "*" not in names
