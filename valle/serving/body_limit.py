"""Refuse requests whose body is too large, before it is in memory or on disk."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from valle.serving.errors import error_response


class BodyLimit:
    """ASGI middleware that answers 413 to bodies of more than `max_bytes`, announced or not."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app, self.max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = bytearray()
        more = True
        # Bodies are small, so the whole of one is read before the application sees any of it.
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            if len(body) > self.max_bytes:
                text = f"The request has more than {self.max_bytes:,} bytes; send a shorter recording."
                await error_response(413, text, "too_large", {"Connection": "close"})(scope, receive, send)
                return
            more = message.get("more_body", False)
        is_sent = False

        async def replay() -> Message:
            nonlocal is_sent
            if is_sent:
                return await receive()
            is_sent = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        await self.app(scope, replay, send)
