"""The page of `valle ui`: its tabs, behind a password and the checks of `valle.web`."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse
from starlette.types import ASGIApp

from valle.data_root import DataRoot, open_data_root
from valle.serving.scheduler import Scheduler
from valle.serving.server import open_speaker
from valle.serving.speech import Speaker
from valle.ui.data import build_data
from valle.ui.evaluation import build_evaluation
from valle.ui.options import UiOptions
from valle.ui.speaking import Waiting, build_speaking
from valle.ui.tasks import build_tasks
from valle.ui.training import StartTraining, build_training
from valle.watermark import require_watermark
from valle.web.request_checks import guard, names_of_machine
from valle.web.secret_file import create_secret

if TYPE_CHECKING:
    from gradio import Blocks

USER = "valle"


def read_ui_password(options: UiOptions) -> str:
    """Return the password of the page; it is made once, in the folder `ui` of the data root."""
    return create_secret(open_data_root(options.data).root / "ui" / "password", "", "run `valle ui`")


def build_page(
    speaker: Speaker, options: UiOptions, password: str, start_training: StartTraining | None = None
) -> ASGIApp:
    """Return the page with its streams of speech, for the host names of the options only.

    Without `start_training` the page starts no training.
    """
    import gradio as gr

    limits = options.limits
    scheduler = Scheduler(speaker.synthesizer, max_active=limits.active, max_waiting=limits.waiting)
    waiting = Waiting()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(scheduler.close)

    app = FastAPI(lifespan=lifespan)

    @app.get("/speech/{token}")
    async def stream(token: str) -> Response:
        """Send speech that the page asked for while it is synthesized; the token is used once."""
        prepared = waiting.take(token)
        if prepared is None:
            return Response(status_code=404)
        chunks = await scheduler.speak(prepared.narration)
        return StreamingResponse(prepared.encode(chunks), media_type="audio/ogg")

    pages = build_tabs(speaker, waiting, open_data_root(options.data), start_training)
    pages.queue(default_concurrency_limit=1)
    mounted = gr.mount_gradio_app(app, pages, path="/", auth=(USER, password), max_file_size=limits.upload_bytes)
    names = (*names_of_machine(options.host), *options.names)
    origins = [f"http://{name}:{options.port}" for name in names]
    return guard(mounted, hosts=names, origins=[*origins, *options.origins])


def build_tabs(
    speaker: Speaker, waiting: Waiting, data_root: DataRoot, start_training: StartTraining | None
) -> "Blocks":
    """Build the tabs; see `build_page`."""
    import gradio as gr

    # Without remote fonts and without reports of use: the page works offline.
    with gr.Blocks(title="valle", analytics_enabled=False) as pages:
        gr.Markdown(f"# valle\n{speaker.model_id}")
        with gr.Tab("Speak"):
            build_speaking(speaker, waiting)
        with gr.Tab("Tasks"):
            build_tasks(speaker)
        with gr.Tab("Data"):
            build_data(data_root)
        with gr.Tab("Training"):
            build_training(data_root, start_training)
        with gr.Tab("Evaluation"):
            build_evaluation(data_root)
    return pages


def run_ui(options: UiOptions, start_training: StartTraining | None) -> None:
    """Show the page until SIGTERM or Ctrl-C."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    if options.watermark:
        require_watermark()
    app = build_page(open_speaker(options), options, read_ui_password(options), start_training)
    uvicorn.run(app, host=options.host, port=options.port, log_level="warning", timeout_graceful_shutdown=5)
