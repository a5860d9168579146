"""Metrics of `valle serve` for Prometheus."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from valle.serving.scheduler import Scheduler
    from valle.synthesis.streaming.narration import Chunk

_SECONDS = (0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64)
_FACTORS = (0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 4, 8, 16)


class Metrics:
    """Counters of one server; `render` returns them."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(self, scheduler: Scheduler) -> None:
        self._registry = CollectorRegistry()
        self._texts = Counter("valle_texts", "Texts by outcome.", ["outcome"], registry=self._registry)
        self._speech = Counter("valle_speech_seconds", "Seconds of speech.", registry=self._registry)
        self._first = Histogram(
            "valle_first_audio_seconds",
            "Seconds to the first samples.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._factor = Histogram(
            "valle_real_time_factor", "Seconds per second of speech.", buckets=_FACTORS, registry=self._registry
        )
        active = Gauge("valle_active_texts", "Texts that are spoken now.", registry=self._registry)
        active.set_function(lambda: scheduler.num_active)
        waiting = Gauge("valle_waiting_texts", "Texts that wait.", registry=self._registry)
        waiting.set_function(lambda: scheduler.num_waiting)

    async def count(self, chunks: AsyncIterator[Chunk], sample_rate: int, started: float) -> AsyncIterator[Chunk]:
        """Pass chunks on and count their speech."""
        num_samples = 0
        async for chunk in chunks:
            if len(chunk.samples) and not num_samples:
                self._first.observe(time.monotonic() - started)
            num_samples += len(chunk.samples)
            yield chunk
        self._speech.inc(num_samples / sample_rate)
        if num_samples:
            self._factor.observe((time.monotonic() - started) * sample_rate / num_samples)

    async def watch(self, contents: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """Pass the bytes of an answer on and count its outcome."""
        outcome = "broken"
        try:
            async for content in contents:
                yield content
            outcome = "spoken"
        finally:
            self._texts.labels(outcome).inc()

    def render(self) -> bytes:
        """Return all metrics in the text format."""
        return generate_latest(self._registry)
