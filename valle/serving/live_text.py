"""A WebSocket whose text arrives in pieces and whose speech leaves meanwhile: `/v1/audio/speech/stream`."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from fastapi import FastAPI, WebSocket
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError
from starlette.websockets import WebSocketDisconnect

from valle.serving.errors import RefusedRequest, error_content
from valle.serving.keys import has_key
from valle.serving.metrics import Metrics
from valle.serving.options import LiveSpeechRequest
from valle.serving.scheduler import Scheduler
from valle.serving.speech import PreparedSpeech, Speaker
from valle.synthesis.streaming.growing_text import GrowingText
from valle.text.language import AUTO, detect_language
from warehouse.errors import ConfigurationError

_REFUSED, _BROKEN, _BUSY = 1008, 1011, 1013
"""Codes of RFC 6455 with which a socket is closed: a request that is refused, an error here, try again later."""

# Characters from which the language of a text may be clear, and from which the likeliest one is taken.
_TELLING, _LONG = 20, 200


def add_live_text(app: FastAPI, speaker: Speaker, scheduler: Scheduler, metrics: Metrics, keys: Sequence[str]) -> None:
    """Add the route to an application."""

    @app.websocket("/v1/audio/speech/stream")
    async def speak(socket: WebSocket) -> None:
        """Take JSON messages: a request without a text, then `text` any number of times, then `end`.

        Audio leaves as binary messages, and a JSON message of the type `done` or `error` ends the socket.
        """
        if not has_key(socket.headers.get("authorization", ""), keys):
            await socket.close(_REFUSED, "The API key is missing or wrong.")
            return
        # From here on an error is a message; before, the handshake itself is refused.
        await socket.accept()
        try:
            await _Conversation(socket, speaker, scheduler, metrics).run()
        except WebSocketDisconnect:
            return
        except RefusedRequest as error:
            await _end(socket, error, _BUSY if error.status in (429, 503) else _REFUSED)
        except ConfigurationError as error:
            await _end(socket, RefusedRequest(400, str(error), "invalid_value"), _REFUSED)


async def _end(socket: WebSocket, error: RefusedRequest, code: int) -> None:
    content = error_content(error.status, error.message, error.code)
    if "Retry-After" in error.headers:
        content["error"]["retry_after"] = int(error.headers["Retry-After"])
    # A client that is gone needs no error.
    with suppress(WebSocketDisconnect, RuntimeError):
        await socket.send_json({"type": "error", **content})
        await socket.close(code)


class _Conversation:
    """One socket: a task reads its text while another sends the speech."""

    def __init__(self, socket: WebSocket, speaker: Speaker, scheduler: Scheduler, metrics: Metrics) -> None:
        self._socket, self._speaker, self._scheduler, self._metrics = socket, speaker, scheduler, metrics

    async def run(self) -> None:
        """Speak until the text ends. Raises RefusedRequest, ConfigurationError and WebSocketDisconnect."""
        request, early = await self._with_language(_request(await self._receive()))
        prepared = await run_in_threadpool(self._speaker.prepare_live, request)
        text = GrowingText(self._speaker.synthesizer, request.language, request.long_form)
        started = time.monotonic()
        chunks = await self._scheduler.speak(prepared.narration)
        contents = self._metrics.watch(prepared.encode(self._metrics.count(chunks, self._speaker.sample_rate, started)))
        reading = asyncio.create_task(self._read(text, prepared, early))
        sending = asyncio.create_task(self._send(contents))
        try:
            # Speech that is over before its text is an error of the reading, or a limit of its length.
            await asyncio.wait({reading, sending}, return_when=asyncio.FIRST_EXCEPTION)
            for task in (reading, sending):
                if task.done():
                    task.result()
        finally:
            # A client that is gone must not keep a place in the batch.
            for task in (reading, sending):
                task.cancel()
            await asyncio.gather(reading, sending, return_exceptions=True)
            await contents.aclose()
        await self._socket.send_json({"type": "done", "characters": text.num_characters})
        await self._socket.close()

    async def _with_language(self, request: LiveSpeechRequest) -> tuple[LiveSpeechRequest, deque[dict[str, Any]]]:
        """Return the request with a language, and the messages that were read to detect it."""
        early: deque[dict[str, Any]] = deque()
        if request.language != AUTO:
            return request, early
        text, synthesizer = "", self._speaker.synthesizer
        while True:
            early.append(await self._receive())
            match early[-1]:
                case {"type": "text", "text": str(piece)}:
                    text += piece
                    self._speaker.check_length(len(text))
                case _:  # the end, or a mistake that is refused when it is read again
                    break
            if len(text) >= _TELLING and (len(text) >= _LONG or await run_in_threadpool(_is_sure, text)):
                break
        language = await run_in_threadpool(synthesizer.language_of, text, AUTO) if text.strip() else "en"
        return request.model_copy(update={"language": language}), early

    async def _read(self, text: GrowingText, prepared: PreparedSpeech, early: deque[dict[str, Any]]) -> None:
        has_spoken = False
        while True:
            message = early.popleft() if early else await self._receive()
            match message:
                case {"type": "text", "text": str(piece)}:
                    self._speaker.check_length(text.num_characters + len(piece))
                    # Phonemes take a while, in which other sockets are answered.
                    sentences = await run_in_threadpool(text.push, piece)
                case {"type": "end"}:
                    sentences = await run_in_threadpool(text.finish)
                case _:
                    raise RefusedRequest(400, 'Send {"type": "text", "text": ...} or {"type": "end"}.', "invalid_value")
            has_spoken |= any(sentence.symbols for sentence in sentences)
            prepared.narration.extend(sentences)
            if message["type"] == "end":
                if not has_spoken:
                    raise RefusedRequest(400, "There is nothing to speak; send a text before the end.", "invalid_value")
                prepared.narration.close()
            self._scheduler.wake()
            if message["type"] == "end":
                return

    async def _send(self, contents: Any) -> None:
        async for content in contents:
            await self._socket.send_bytes(content)

    async def _receive(self) -> dict[str, Any]:
        seconds = self._speaker.options.limits.idle_seconds
        try:
            received = await asyncio.wait_for(self._socket.receive_text(), seconds)
        except TimeoutError as error:
            message = f"No text came for {seconds:g} s; open another socket."
            raise RefusedRequest(408, message, "timeout") from error
        except KeyError as error:
            raise RefusedRequest(400, "Send text messages with JSON, not binary ones.", "invalid_value") from error
        try:
            message = json.loads(received)
        except ValueError as error:
            raise RefusedRequest(400, f"A message is no JSON ({error}).", "invalid_value") from error
        if not isinstance(message, dict):
            raise RefusedRequest(400, "A message is a JSON object with a type.", "invalid_value")
        return message


def _is_sure(text: str) -> bool:
    return detect_language(text).is_sure


def _request(message: dict[str, Any]) -> LiveSpeechRequest:
    if message.pop("type", None) != "start":
        raise RefusedRequest(400, 'The first message has the type "start" and a voice.', "invalid_value")
    try:
        return LiveSpeechRequest.model_validate(message)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise RefusedRequest(400, problems, "invalid_value") from error
