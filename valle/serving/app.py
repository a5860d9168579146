"""The HTTP application of `valle serve`."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI, File, Form, Request, Response, UploadFile
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse

from valle.serving.errors import RefusedRequest, error_response, on_invalid, on_refused
from valle.serving.keys import key_check
from valle.serving.live_text import add_live_text
from valle.serving.metrics import Metrics
from valle.serving.options import SpeechRequest
from valle.serving.scheduler import Scheduler
from valle.serving.speech import SYNTHETIC, Speaker
from valle.serving.tasks import TaskThread, add_tasks
from valle.synthesis.streaming.encoder import FORMATS
from warehouse.errors import CheckpointError, ConfigurationError, PipelineError


def build_app(speaker: Speaker, scheduler: Scheduler, keys: Sequence[str]) -> FastAPI:
    """Build the application; its end stops the scheduler."""

    tasks = TaskThread(speaker.options.limits.waiting)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(scheduler.close)
        tasks.close()

    app = FastAPI(
        title="valle",
        description="Speech of this server is synthetic. The interface is that of OpenAI's speech endpoint.",
        lifespan=lifespan,
    )
    app.add_exception_handler(RefusedRequest, on_refused)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(PipelineError, _on_refusal)
    metrics = Metrics(scheduler)
    checked = [Depends(key_check(keys))]
    _add_speech(app, speaker, scheduler, metrics, checked)
    add_live_text(app, speaker, scheduler, metrics, keys)
    add_tasks(app, speaker, tasks, checked)
    _add_lists(app, speaker, checked)
    _add_operations(app, scheduler, metrics)
    return app


async def _on_refusal(request: Request, error: Exception) -> Response:
    if isinstance(error, ConfigurationError | CheckpointError):
        return error_response(400, str(error), "invalid_value")
    return error_response(500, str(error), "server_error")


def _add_speech(app: FastAPI, speaker: Speaker, scheduler: Scheduler, metrics: Metrics, checked: Sequence[Any]) -> None:
    @app.post("/v1/audio/speech", dependencies=checked, response_class=StreamingResponse)
    async def create_speech(body: SpeechRequest) -> StreamingResponse:
        """Speak a text; the answer is sent while it is synthesized."""
        started = time.monotonic()
        # Phonemes of a long text take a while, in which other requests are answered.
        prepared = await run_in_threadpool(speaker.prepare, body)
        chunks = await scheduler.speak(prepared.narration)
        contents = metrics.watch(prepared.encode(metrics.count(chunks, speaker.sample_rate, started)))
        is_sse = body.stream_format == "sse"
        media_type = "text/event-stream" if is_sse else FORMATS[body.response_format].media_type
        return StreamingResponse(
            prepared.events(contents) if is_sse else contents, media_type=media_type, headers={SYNTHETIC: "true"}
        )


def _add_lists(app: FastAPI, speaker: Speaker, checked: Sequence[Any]) -> None:
    @app.get("/v1/models", dependencies=checked)
    def list_models() -> dict[str, Any]:
        """List the model of this server."""
        card = speaker.synthesizer.card
        model = {"id": speaker.model_id, "object": "model", "created": _as_seconds(card.saved_at), "owned_by": "valle"}
        return {"object": "list", "data": [model]}

    @app.get("/v1/voices", dependencies=checked)
    def list_voices() -> dict[str, Any]:
        """List the voices of the bank, with the consent of their speakers."""
        return {"object": "list", "data": [asdict(voice) for voice in speaker.voices.list()]}

    @app.post("/v1/voices", dependencies=checked, status_code=201)
    async def add_voice(
        name: Annotated[str, Form()],
        consent: Annotated[str, Form()],
        recording: Annotated[UploadFile | None, File()] = None,
        segment_id: Annotated[str, Form()] = "",
    ) -> dict[str, Any]:
        """Add a voice: a recording of 1 to 15 s of one speaker, and a statement of who agreed to its synthesis.

        In place of a recording `segment_id` names an utterance of the lake.
        """
        if (recording is None) == (not segment_id):
            raise RefusedRequest(400, "Give either a recording or a segment_id.", "invalid_value")
        if recording is None:
            return asdict(await run_in_threadpool(speaker.voices.add_segment, name, segment_id, consent))
        return asdict(await run_in_threadpool(speaker.voices.add, name, await recording.read(), consent))

    @app.delete("/v1/voices/{name}", dependencies=checked)
    def delete_voice(name: str) -> dict[str, Any]:
        """Delete a voice with its recording."""
        if not speaker.voices.delete(name):
            raise RefusedRequest(404, f"There is no voice {name[:64]!r}.", "voice_not_found")
        return {"name": name, "deleted": True}


def _as_seconds(saved_at: str) -> int:
    return int(datetime.fromisoformat(saved_at).timestamp())


def _add_operations(app: FastAPI, scheduler: Scheduler, metrics: Metrics) -> None:
    @app.get("/health")
    def health() -> dict[str, str]:
        """Answer while the process runs."""
        return {"status": "ok"}

    @app.get("/ready")
    def ready() -> Response:
        """Answer 200 while texts are accepted, else 503."""
        return Response(status_code=200 if scheduler.is_alive else 503)

    @app.get("/metrics")
    def read_metrics() -> Response:
        """Return the metrics of Prometheus."""
        return Response(metrics.render(), media_type=metrics.media_type)
