"""The tab that speaks: a text, a voice, the sampler panel; speech that sounds while it is synthesized, and takes."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from valle.phonemes import LANGUAGES
from valle.serving.options import SpeechRequest
from valle.synthesis.long_form import speak_long
from valle.synthesis.options import SamplingOptions
from valle.synthesis.prompts import read_prompt
from valle.ui.panel import build_panel, read_panel
from warehouse.errors import PipelineError

if TYPE_CHECKING:
    from valle.serving.speech import PreparedSpeech, Speaker
    from valle.synthesis.synthesizer import Prompt

_TAKES = 3
_MOST_WAITING = 64
NOTICE = "All speech of this page is synthetic and marked as such. Use the voice of a person with their consent only."


class Waiting:
    """Speech that a page asked for and whose audio element has not yet fetched it, by a token."""

    def __init__(self) -> None:
        self._prepared: OrderedDict[str, PreparedSpeech] = OrderedDict()

    def add(self, prepared: PreparedSpeech) -> str:
        """Keep speech; return its token. The oldest is dropped where too many wait."""
        token = secrets.token_urlsafe(16)
        self._prepared[token] = prepared
        while len(self._prepared) > _MOST_WAITING:
            self._prepared.popitem(last=False)
        return token

    def take(self, token: str) -> PreparedSpeech | None:
        """Return speech once."""
        return self._prepared.pop(token, None)


def build_speaking(speaker: Speaker, waiting: Waiting) -> None:
    """Build the tab."""
    gr.Markdown(NOTICE)
    with gr.Row():
        with gr.Column():
            text = gr.Textbox(label="Text", lines=4, value="We will meet at half past ten.", elem_id="text")
            prompt = gr.Audio(label="Prompt", sources=["upload", "microphone"], type="filepath", elem_id="prompt")
            consent = gr.Checkbox(label="The speaker of the prompt agreed to its synthesis.", elem_id="consent")
            voice = gr.Dropdown(
                _voices(speaker), label="Voice without a prompt", value="seed-0", allow_custom_value=True
            )
            language = gr.Dropdown(list(LANGUAGES), value="en", label="Language")
        with gr.Column(), gr.Accordion("Sampling", open=False):
            panel = build_panel(SamplingOptions, speaker.sampling)
    with gr.Row():
        speak = gr.Button("Speak", variant="primary", elem_id="speak")
        takes = gr.Button(f"{_TAKES} takes", elem_id="takes")
    player = gr.HTML(elem_id="player")
    with gr.Row():
        audios = [gr.Audio(label=f"Take {number + 1}", interactive=False) for number in range(_TAKES)]
    inputs = [text, prompt, consent, voice, language, *panel]

    def on_speak(*values: Any) -> str:
        request, recording = _read(speaker, values)
        try:
            token = waiting.add(speaker.prepare(request, recording))
        except PipelineError as error:
            raise gr.Error(str(error)) from error
        return f'<audio controls autoplay src="/speech/{token}"></audio>'

    def on_takes(*values: Any) -> list[Any]:
        request, recording = _read(speaker, values)
        return [_take(speaker, request, recording, number) for number in range(_TAKES)]

    speak.click(on_speak, inputs, player, api_name="speak")
    takes.click(on_takes, inputs, audios, api_name="takes")


def _voices(speaker: Speaker) -> list[str]:
    return [*(voice.name for voice in speaker.voices.list()), *(f"seed-{seed}" for seed in range(8))]


def _read(speaker: Speaker, values: tuple[Any, ...]) -> tuple[SpeechRequest, Prompt | None]:
    text, prompt, has_consent, voice, language, *panel = values
    if not (text or "").strip():
        raise gr.Error("There is no text; write some.")
    if prompt and not has_consent:
        raise gr.Error("Confirm that the speaker of the prompt agreed to its synthesis.")
    sampling = read_panel(SamplingOptions, panel)
    request = SpeechRequest(
        model="valle", input=text, voice=voice, response_format="opus", language=language, sampling=sampling
    )
    try:
        recording = read_prompt(Path(prompt), speaker.sample_rate) if prompt else None
        return request, None if recording is None else speaker.synthesizer.encode_prompt(recording)
    except PipelineError as error:
        raise gr.Error(str(error)) from error


def _take(speaker: Speaker, request: SpeechRequest, prompt: Prompt | None, number: int) -> Any:
    sampling = request.sampling.over(speaker.sampling)
    sampling = sampling.model_copy(update={"seed": sampling.seed + number})
    try:
        spoken = speak_long(
            speaker.synthesizer, request.input, prompt, language=request.language, sampling=sampling
        ).speech.audio
    except PipelineError as error:
        raise gr.Error(str(error)) from error
    from valle.watermark import mark

    audio = mark(spoken) if speaker.options.watermark else spoken
    return audio.sample_rate, (audio.samples.clip(-1, 1) * 32767).astype("int16")
