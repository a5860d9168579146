"""The tasks of a model as routes: edit, convert, denoise and extract. A recording goes in, a whole one comes out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar
from urllib.parse import quote

from fastapi import FastAPI, File, Form, Response, UploadFile

from valle.audio import Audio
from valle.serving.errors import RefusedRequest
from valle.serving.speech import SYNTHETIC, Speaker
from valle.serving.uploads import read_upload
from valle.synthesis.options import ConversionMethod
from valle.synthesis.streaming.encoder import FORMATS, AudioEncoder

if TYPE_CHECKING:
    from valle.api import EditedText, TransformedSpeech
    from valle.synthesis.synthesizer import Prompt

Format = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
RECORDING_TEXT = "X-Recording-Text"
"""Header with the text of the recording that a task used, in percent-encoded UTF-8."""
_SECONDS_TO_RETRY = 5
_SHORTEST_CONSENT = 10
T = TypeVar("T")
# FastAPI before 0.162 reads a missing field of the type bool as False, also where its default is True.
Switch = Annotated[Literal["true", "false"], Form()]
Uploaded = Annotated[UploadFile, File()]
Field = Annotated[str, Form()]


class TaskThread:
    """One thread for tasks, beside the one that speaks, with a bounded queue."""

    def __init__(self, max_waiting: int) -> None:
        # One: two tasks at a time would each take twice as long and twice the memory.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="task")
        self._max_waiting, self._num_waiting = max_waiting, 0

    async def run(self, task: Callable[[], T]) -> T:
        """Run a task when those before it are done. Raises RefusedRequest (429) when too many wait."""
        if self._num_waiting > self._max_waiting:
            message = f"{self._num_waiting} tasks wait already; try again in {_SECONDS_TO_RETRY} s."
            raise RefusedRequest(429, message, "rate_limit_exceeded", {"Retry-After": str(_SECONDS_TO_RETRY)})
        self._num_waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, task)
        finally:
            self._num_waiting -= 1

    def close(self) -> None:
        """Drop what waits; a task that runs is finished."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def add_tasks(app: FastAPI, speaker: Speaker, thread: TaskThread, checked: Sequence[Any]) -> None:
    """Add the routes to an application."""
    # Loaded here: the whole API is more than the options of a server need.
    from valle.api import LoadedModel

    model = LoadedModel(speaker.synthesizer, speaker.sampling)

    @app.post("/v1/audio/edit", dependencies=checked)
    async def edit(
        recording: Uploaded,
        replace: Annotated[list[str], Form()],
        consent: Field,
        text: Field = "",
        language: Field = "en",
        response_format: Annotated[Format, Form()] = "wav",
    ) -> Response:
        """Replace words of a recording: each `replace` is "old words=new words"; `consent` names who agreed."""
        from valle.synthesis.editing import parse_replacement

        if len(consent.strip()) < _SHORTEST_CONSENT:
            message = "An edit needs a statement of consent; write who speaks and who agreed to it."
            raise RefusedRequest(400, message, "invalid_value")
        # Before the upload is decoded: a mistake in a form is answered at once.
        pairs = [parse_replacement(one) for one in replace]
        audio = await read_upload(recording, speaker)
        edited = await thread.run(
            lambda: model.edit(audio, {pair.old: pair.new for pair in pairs}, text=text, language=language)
        )
        return _response(speaker, edited, response_format, consent.strip())

    @app.post("/v1/audio/convert", dependencies=checked)
    async def convert(
        recording: Uploaded,
        voice: Field,
        method: Annotated[ConversionMethod, Form()] = "task",
        kept: Annotated[float, Form(ge=0, lt=1)] = 0.3,
        text: Field = "",
        language: Field = "en",
        transcribe: Switch = "true",
        response_format: Annotated[Format, Form()] = "wav",
    ) -> Response:
        """Give a recording a voice of the bank, with the same words and rhythm."""
        prompt, audio = _bank_voice(speaker, voice), await read_upload(recording, speaker)
        converted = await thread.run(
            lambda: model.convert(
                audio, prompt, method=method, kept=kept, text=text, language=language, transcribe=transcribe == "true"
            )
        )
        return _response(speaker, converted, response_format)

    @app.post("/v1/audio/denoise", dependencies=checked)
    async def denoise(
        recording: Uploaded,
        text: Field = "",
        language: Field = "en",
        transcribe: Switch = "true",
        response_format: Annotated[Format, Form()] = "wav",
    ) -> Response:
        """Remove noise and reverberation from a recording."""
        audio = await read_upload(recording, speaker)
        denoised = await thread.run(
            lambda: model.denoise(audio, text=text, language=language, transcribe=transcribe == "true")
        )
        return _response(speaker, denoised, response_format)

    @app.post("/v1/audio/extract", dependencies=checked)
    async def extract(
        recording: Uploaded,
        voice: Field,
        text: Field = "",
        language: Field = "en",
        transcribe: Switch = "true",
        response_format: Annotated[Format, Form()] = "wav",
    ) -> Response:
        """Extract the speaker of a voice of the bank from a recording of two."""
        prompt, audio = _bank_voice(speaker, voice), await read_upload(recording, speaker)
        extracted = await thread.run(
            lambda: model.extract(audio, prompt, text=text, language=language, transcribe=transcribe == "true")
        )
        return _response(speaker, extracted, response_format)


def _bank_voice(speaker: Speaker, name: str) -> Prompt:
    # Voices of the bank have a statement of consent; an upload beside the recording would have none.
    prompt, _ = speaker.find_voice(name)
    if prompt is None:
        raise RefusedRequest(400, "This task needs a voice of the bank; add it at /v1/voices.", "invalid_value")
    return prompt


def _response(speaker: Speaker, made: EditedText | TransformedSpeech, name: Format, consent: str = "") -> Response:
    from valle.watermark import mark

    # A file without a sample is no file for most readers.
    if not len(made.samples):
        message = "The model ended before the first sound; send the text of the recording, or another recording."
        raise RefusedRequest(400, message, "no_speech")
    audio = Audio(made.samples, made.sample_rate)
    if speaker.options.watermark:
        audio = mark(audio)
    tags = dict(made.tags) | {"comment": made.tags["comment"] + (f" consent={consent}" if consent else "")}
    encoder = AudioEncoder(name, audio.sample_rate, tags)
    content = encoder.push(audio.samples) + encoder.finish()
    headers = {SYNTHETIC: "true", RECORDING_TEXT: quote(made.source.text), "Content-Language": made.source.language}
    return Response(content, media_type=FORMATS[name].media_type, headers=headers)
