"""The tab that speaks: a text, a voice, the sampler; speech that sounds while it is synthesized, and candidates."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from valle.phonemes import LANGUAGES
from valle.serving.errors import RefusedRequest
from valle.serving.options import SpeechRequest
from valle.synthesis.options import SamplingOptions
from valle.synthesis.prompts import read_prompt
from valle.text.language import AUTO
from valle.ui.candidates import NUM_CANDIDATES, speak_candidates
from valle.ui.lake import playable
from valle.ui.panel import build_panel, panel_values, read_panel
from valle.ui.presets import AS_TRAINED, PRESETS
from warehouse.errors import PipelineError

if TYPE_CHECKING:
    from valle.serving.speech import PreparedSpeech, Speaker
    from valle.synthesis.synthesizer import Prompt

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
            text = gr.Textbox(label="Text", lines=4, value="We will meet again on Friday.", elem_id="text")
            prompt = gr.Audio(label="Prompt", sources=["upload", "microphone"], type="filepath", elem_id="prompt")
            consent = gr.Checkbox(label="The speaker of the prompt agreed to its synthesis.", elem_id="consent")
            voice = gr.Dropdown(
                _voices(speaker), label="Voice without a prompt", value="seed-0", allow_custom_value=True
            )
            language = gr.Dropdown([AUTO, *LANGUAGES], value="en", label="Language")
        with gr.Column():
            preset = gr.Dropdown(list(PRESETS), value=AS_TRAINED, label="Sampling", elem_id="preset")
            with gr.Accordion("Sampler", open=False):
                panel = build_panel(SamplingOptions, speaker.sampling)
    with gr.Row():
        speak = gr.Button("Speak", variant="primary", elem_id="speak")
        several = gr.Button(f"{NUM_CANDIDATES} candidates with scores", elem_id="candidates")
    player = gr.HTML(elem_id="player")
    with gr.Row():
        audios = [
            gr.Audio(label=f"Candidate {number + 1}", interactive=False, elem_id=f"candidate-{number + 1}")
            for number in range(NUM_CANDIDATES)
        ]
    with gr.Row():
        plots = [gr.Plot(label="Speech", elem_id=f"plot-{number + 1}") for number in range(NUM_CANDIDATES)]
    inputs = [text, prompt, consent, voice, language, *panel]
    preset.change(lambda name: panel_values(SamplingOptions, speaker.sampling, PRESETS[name]), preset, panel)
    speak.click(lambda *values: _speak(speaker, waiting, values), inputs, player, api_name="speak")
    several.click(
        lambda *values: _candidates(speaker, values),
        inputs,
        [*audios, *plots],
        api_name="candidates",
        concurrency_id="model",
    )


def _speak(speaker: Speaker, waiting: Waiting, values: tuple[Any, ...]) -> str:
    request, recording = _read(speaker, values)
    try:
        token = waiting.add(speaker.prepare(request, recording))
    except (PipelineError, RefusedRequest) as error:
        raise gr.Error(str(error)) from error
    return f'<audio controls autoplay src="/speech/{token}"></audio>'


def _candidates(speaker: Speaker, values: tuple[Any, ...]) -> list[Any]:
    request, recording = _read(speaker, values)
    try:
        candidates = speak_candidates(speaker, request, recording)
    except (PipelineError, RefusedRequest) as error:
        raise gr.Error(str(error)) from error
    audios = [gr.Audio(value=playable(one.audio), label=one.label) for one in candidates]
    return [*audios, *(one.plot for one in candidates)]


def _voices(speaker: Speaker) -> list[str]:
    return [*(voice.name for voice in speaker.voices.list()), *(f"seed-{seed}" for seed in range(8))]


def _read(speaker: Speaker, values: tuple[Any, ...]) -> tuple[SpeechRequest, Prompt | None]:
    text, prompt, has_consent, voice, language, *panel = values
    if not (text or "").strip():
        raise gr.Error("There is no text; write some.")
    if prompt and not has_consent:
        raise gr.Error("Confirm that the speaker of the prompt agreed to its synthesis.")
    sampling = read_panel(SamplingOptions, panel)
    try:
        language = speaker.synthesizer.language_of(text, language)
        request = SpeechRequest(
            model="valle", input=text, voice=voice, response_format="opus", language=language, sampling=sampling
        )
        recording = read_prompt(Path(prompt), speaker.sample_rate) if prompt else None
        return request, None if recording is None else speaker.synthesizer.encode_prompt(recording)
    except PipelineError as error:
        raise gr.Error(str(error)) from error
