"""The tab of tasks on a recording: edit by clicking words of its transcript, convert, denoise, extract."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from valle.audio import Audio
from valle.phonemes import LANGUAGES
from valle.synthesis.editing import Recording, WordSpan, edit_spans, read_recording, require_editing
from valle.synthesis.options import ConversionMethod
from valle.synthesis.prompts import read_speech
from valle.synthesis.texts.recorded_text import TextOptions
from valle.text.language import AUTO
from valle.ui.lake import playable
from warehouse.errors import PipelineError

if TYPE_CHECKING:
    from valle.api import LoadedModel, TransformedSpeech
    from valle.serving.speech import Speaker

# Number of the first and of the last chosen word; None before a click.
Span = tuple[int, int] | None


def build_tasks(speaker: Speaker) -> None:
    """Build the tab."""
    with gr.Row():
        recording = gr.Audio(label="Recording", sources=["upload", "microphone"], type="filepath", elem_id="recording")
        voice = gr.Audio(label="Voice (to convert and to extract)", sources=["upload", "microphone"], type="filepath")
        with gr.Column():
            consent = gr.Checkbox(label="Both speakers agreed to synthesis.", elem_id="task-consent")
            language = gr.Dropdown([AUTO, *LANGUAGES], value="en", label="Language")
            text = gr.Textbox(label="Text of the recording", elem_id="task-text")
            transcribe = gr.Checkbox(
                value=True, label="Transcribe a recording without a text", info="Most tasks lose the words without it."
            )
    result: Any = gr.Audio(label="Result", interactive=False, elem_id="task-result", render=False)
    note: Any = gr.Markdown(elem_id="task-note", render=False)
    _build_editing(speaker, [recording, consent, language, text], result, note)
    with gr.Row():
        method = gr.Radio(
            ["task", "draft", "singing"],
            value="task",
            label="Conversion",
            info="task and singing need a checkpoint that has learnt them; draft any that decodes NAR-len.",
        )
        kept = gr.Slider(0, 0.95, value=0.3, label="Of draft: how much of the recording survives")
    inputs = [recording, voice, consent, language, text, transcribe, method, kept]
    with gr.Row():
        for name, run in _transforms().items():
            gr.Button(name, elem_id=f"task-{name.lower().replace(' ', '-')}").click(
                _transformer(speaker, run), inputs, [result, note], concurrency_id="model"
            )
    result.render()
    note.render()


@dataclass(frozen=True, slots=True)
class TaskInput:
    """Input of a task from the page: a recording, and what only some tasks use."""

    audio: Audio
    voice: str | None
    text: str
    language: str
    transcribe: bool
    method: ConversionMethod
    kept: float


def _convert(model: LoadedModel, given: TaskInput) -> TransformedSpeech:
    return model.convert(
        given.audio,
        _needed(given.voice),
        method=given.method,
        kept=given.kept,
        text=given.text,
        language=given.language,
        transcribe=given.transcribe,
    )


def _denoise(model: LoadedModel, given: TaskInput) -> TransformedSpeech:
    return model.denoise(given.audio, text=given.text, language=given.language, transcribe=given.transcribe)


def _extract(model: LoadedModel, given: TaskInput) -> TransformedSpeech:
    voice = _needed(given.voice)
    return model.extract(given.audio, voice, text=given.text, language=given.language, transcribe=given.transcribe)


def _remove_speech(model: LoadedModel, given: TaskInput) -> TransformedSpeech:
    return model.transform("sr", given.audio, text=given.text, language=given.language, transcribe=given.transcribe)


def _transforms() -> dict[str, Callable[[LoadedModel, TaskInput], TransformedSpeech]]:
    """Return the tasks by the names of their buttons."""
    return {"Convert": _convert, "Denoise": _denoise, "Extract": _extract, "Remove speech": _remove_speech}


def _needed(voice: str | None) -> str:
    if not voice:
        raise gr.Error("Give a recording of the voice, 3 to 6 seconds.")
    return voice


def _transformer(speaker: Speaker, run: Callable[[LoadedModel, TaskInput], TransformedSpeech]) -> Any:
    def on_click(
        recording: str | None,
        voice: str | None,
        consent: bool,
        language: str,
        text: str,
        transcribe: bool,
        method: ConversionMethod,
        kept: float,
    ) -> tuple[Any, str]:
        from valle.api import LoadedModel

        audio = _recorded(speaker, recording, consent)
        given = TaskInput(audio, voice, text or "", language, transcribe, method, kept)
        try:
            done = run(LoadedModel(speaker.synthesizer, speaker.sampling), given)
        except PipelineError as error:
            raise gr.Error(str(error)) from error
        note = f"{done.duration:.2f} s" + ("" if done.is_complete else ", cut at the longest duration")
        return _finished(speaker, Audio(done.samples, done.sample_rate)), f"{note}\n\n{done.source.note}"

    return on_click


def _recorded(speaker: Speaker, recording: str | None, consent: bool) -> Audio:
    if not recording:
        raise gr.Error("Give a recording.")
    if not consent:
        raise gr.Error("Confirm that the speakers agreed to synthesis.")
    try:
        return read_speech(Path(recording), longest=speaker.options.limits.speech_seconds)
    except PipelineError as error:
        raise gr.Error(str(error)) from error


def _finished(speaker: Speaker, audio: Audio) -> Any:
    from valle.watermark import mark

    return playable(mark(audio) if speaker.options.watermark and len(audio.samples) else audio)


def _build_editing(speaker: Speaker, given: list[Any], result: Any, note: Any) -> None:
    """Build the words of the transcript and what replaces them."""
    found, span = gr.State(None), gr.State(None)
    locate = gr.Button("Show the words", elem_id="locate")
    words = gr.HighlightedText(
        label="Click the first and the last word to replace",
        interactive=False,
        combine_adjacent=False,
        show_legend=False,
        color_map={"replaced": "orange"},
        elem_id="words",
    )
    with gr.Row():
        new = gr.Textbox(label="Words in their place; empty cuts them out", elem_id="new-words")
        replace = gr.Button("Replace", variant="primary", elem_id="replace")
    locate.click(
        lambda *values: _locate(speaker, *values),
        given,
        [found, words, span],
        api_name="locate",
        concurrency_id="model",
    )
    words.select(_choose, [found, span], [words, span])
    replace.click(
        lambda *values: _replace(speaker, *values),
        [found, span, new],
        [result, note],
        api_name="replace",
        concurrency_id="model",
    )


def _locate(
    speaker: Speaker, recording: str | None, consent: bool, language: str, text: str
) -> tuple[Recording, Any, Span]:
    audio = _recorded(speaker, recording, consent)
    try:
        require_editing(speaker.synthesizer)  # before the minutes that a transcription may take
        found = read_recording(speaker.synthesizer, audio, TextOptions(text=text or "", language=language))
    except PipelineError as error:
        raise gr.Error(str(error)) from error
    return found, _marked(found, None), None


def _choose(found: Recording | None, span: Span, event: gr.SelectData) -> tuple[Any, Span]:
    """Choose a word, extend a single chosen word to a second one, or start again from the third."""
    if found is None:
        return gr.skip(), span
    clicked = int(event.index)
    is_single = span is not None and span[0] == span[1]
    chosen = (min(span[0], clicked), max(span[0], clicked)) if span is not None and is_single else (clicked, clicked)
    return _marked(found, chosen), chosen


def _marked(found: Recording, span: Span) -> list[tuple[str, str | None]]:
    first, last = span if span is not None else (0, -1)
    return [(f"{word.word} ", "replaced" if first <= i <= last else None) for i, word in enumerate(found.words)]


def _replace(speaker: Speaker, found: Recording | None, span: Span, new: str) -> tuple[Any, str]:
    if found is None or span is None:
        raise gr.Error("Show the words, and click those to replace.")
    try:
        edited = edit_spans(
            speaker.synthesizer,
            found,
            [WordSpan(span[0], span[1] + 1, " ".join((new or "").split()))],
            speaker.sampling,
        )
    except PipelineError as error:
        raise gr.Error(str(error)) from error
    rate = speaker.synthesizer.codec.spec.frame_rate
    (start, end) = edited.spans[0]
    return _finished(speaker, edited.audio), f"{edited.text}\n\nNew from {start / rate:.2f} to {end / rate:.2f} s."
