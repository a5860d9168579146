"""One thread that speaks the texts of all requests in one batch, and the bounded queue in front of it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from valle.serving.errors import RefusedRequest

if TYPE_CHECKING:
    from valle.synthesis.streaming.engine import StreamEngine
    from valle.synthesis.streaming.narration import Chunk, Narration
    from valle.synthesis.synthesizer import Synthesizer

_LOG = logging.getLogger(__name__)
_IDLE_SECONDS = 0.5


@dataclass(slots=True, eq=False)
class _Job:
    """A text of a request; its chunks go to the event loop of the request, None or an error at the end."""

    narration: Narration
    loop: asyncio.AbstractEventLoop
    chunks: asyncio.Queue[Chunk | Exception | None] = field(default_factory=asyncio.Queue)
    is_cancelled: bool = False

    def send(self, item: Chunk | Exception | None) -> None:
        try:
            self.loop.call_soon_threadsafe(self.chunks.put_nowait, item)
        except RuntimeError:  # the loop of the request is closed: nothing waits for the chunk
            self.is_cancelled = True


class Scheduler:
    """Speak the texts of concurrent requests frame by frame in one batch; a text joins after any frame."""

    def __init__(self, synthesizer: Synthesizer, *, max_active: int, max_waiting: int) -> None:
        self._engine = _open_engine(synthesizer)
        self._synthesizer = synthesizer
        self._max_active, self._max_waiting = max_active, max_waiting
        self._waiting: deque[_Job] = deque()
        self._active: dict[Narration, _Job] = {}
        self._changed = threading.Condition()
        self._is_ending = False
        self._seconds = deque([1.0], maxlen=32)  # of the last texts, for Retry-After
        self._thread = threading.Thread(target=self._run, name="speech", daemon=True)
        self._thread.start()

    @property
    def num_active(self) -> int:
        """Texts that are spoken now."""
        return len(self._active)

    @property
    def num_waiting(self) -> int:
        """Texts that wait."""
        return len(self._waiting)

    @property
    def is_alive(self) -> bool:
        """Return whether texts are accepted."""
        return self._thread.is_alive() and not self._is_ending

    def wake(self) -> None:
        """Look again at the texts: one of them has grown, or is closed."""
        with self._changed:
            self._changed.notify()

    async def speak(self, narration: Narration) -> AsyncIterator[Chunk]:
        """Queue a text; the returned iterator yields its chunks. Closing the iterator cancels the text.

        Raises RefusedRequest (429 with Retry-After, or 503) when it cannot be queued.
        """
        job = _Job(narration, asyncio.get_running_loop())
        with self._changed:
            if not self.is_alive:
                raise RefusedRequest(503, "The server is ending; try another one.", "unavailable")
            if len(self._active) + len(self._waiting) >= self._max_active + self._max_waiting:
                seconds = max(1, round(sum(self._seconds) / len(self._seconds)))
                message = f"{len(self._waiting)} texts wait already; try again in {seconds} s."
                raise RefusedRequest(429, message, "rate_limit_exceeded", {"Retry-After": str(seconds)})
            self._waiting.append(job)
            self._changed.notify()
        return self._chunks(job)

    async def _chunks(self, job: _Job) -> AsyncIterator[Chunk]:
        started = time.monotonic()
        try:
            while (item := await job.chunks.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
            self._seconds.append(time.monotonic() - started)
        finally:
            job.is_cancelled = True

    def close(self) -> None:
        """Stop after the current frame; texts that are not finished end with an error."""
        with self._changed:
            self._is_ending = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_ending:
            with self._changed:
                # A growing text without a sentence is active, but gives nothing to decode.
                if not self._waiting and not self._engine.has_work:
                    self._changed.wait(_IDLE_SECONDS)
                self._admit()
            self._drop_cancelled()
            if self._engine.has_work:
                self._step()
        for job in [*self._active.values(), *self._waiting]:
            job.send(RefusedRequest(503, "The server ended.", "unavailable"))

    def _admit(self) -> None:
        while self._waiting and len(self._active) < self._max_active:
            job = self._waiting.popleft()
            self._active[job.narration] = job
            self._engine.start([job.narration])

    def _drop_cancelled(self) -> None:
        for narration in [narration for narration, job in self._active.items() if job.is_cancelled]:
            self._engine.cancel(narration)
            del self._active[narration]

    def _step(self) -> None:
        try:
            chunks = self._engine.step()
        except Exception as error:  # noqa: BLE001 (one text must not end the thread that speaks all)
            _LOG.exception("A step failed; the texts in the batch are lost.")
            for job in self._active.values():
                job.send(error)
            self._active.clear()
            # The cached rows of the old one may be half written.
            self._engine = _open_engine(self._synthesizer)
            return
        for narration, chunk in chunks:
            job = self._active[narration]
            job.send(chunk)
            if narration.is_over:
                job.send(None)
                del self._active[narration]


def _open_engine(synthesizer: Synthesizer) -> StreamEngine:
    # Loaded with the first scheduler: routes and options of the server need no decoding.
    from valle.synthesis.streaming.engine import StreamEngine

    return StreamEngine(synthesizer)
