"""`valle speak --task NAME`: the other commands under the name of their task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from valle.synthesis.options import EditingMethod, SamplingOptions
from warehouse.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRequest:
    """Options of `valle speak` for a task, by the names that all commands of a checkpoint use."""

    text: str
    source: Path | None
    voice: Path | None
    language: str
    out: Path
    codes: Path | None
    sampling: SamplingOptions | None
    checkpoint: Mapping[str, Any]

    @property
    def recording(self) -> Path:
        """The recording that a task is given. Raises ConfigurationError without one."""
        if self.source is None:
            raise ConfigurationError("This task is given a recording: name it with --source.")
        return self.source

    @property
    def speech_options(self) -> dict[str, Any]:
        """The options of the commands that make speech."""
        own = {"out": self.out, "codes": self.codes, "language": self.language, "sampling": self.sampling}
        return own | dict(self.checkpoint)


def run_task(name: str, request: TaskRequest) -> int:
    """Run a task by its name and return the exit code. Raises ConfigurationError for an unknown name."""
    tasks: dict[str, Callable[[TaskRequest], int]] = {
        **dict.fromkeys(("ns", "sr", "tse", "vc", "svc"), lambda one: _transform(name, one)),
        "cse": lambda one: _edit("task", one),
        "nse": lambda one: _edit("noisy", one),
        "stt": _transcribe,
        "phn": _phonemize,
        "tts-raw": _speak_raw,
    }
    if name not in tasks:
        raise ConfigurationError(f"--task is one of tts, {', '.join(tasks)}, not {name!r}.")
    return tasks[name](request)


def _transform(name: str, request: TaskRequest) -> int:
    from valle.cli.tasks.transform import TransformOptions, apply_transform

    options = TransformOptions(text=request.text, **request.speech_options)
    return apply_transform(name, request.recording, options, request.voice)


def _edit(method: EditingMethod, request: TaskRequest) -> int:
    from valle.cli.tasks.edit import EditOptions, edit

    options = EditOptions(replace=(request.text,), method=method, **request.speech_options)
    return edit(request.recording, options=options)


def _transcribe(request: TaskRequest) -> int:
    from valle.cli.tasks.tokens import TranscribeOptions, transcribe_speech

    options = TranscribeOptions(language=request.language, **request.checkpoint)
    return transcribe_speech(request.recording, options=options)


def _phonemize(request: TaskRequest) -> int:
    from valle.cli.tasks.tokens import TokenOptions, phonemize_text

    return phonemize_text(request.text, options=TokenOptions(language=request.language, **request.checkpoint))


def _speak_raw(request: TaskRequest) -> int:
    from valle.cli.tasks.options import SpeechOptions, open_synthesizer
    from valle.cli.tasks.transform import read_voice, write_speech
    from valle.synthesis.raw_text import speak_raw
    from valle.synthesis.speech_tags import speech_tags

    options = SpeechOptions(**request.speech_options)
    synthesizer, sampling = open_synthesizer(options)
    voice = read_voice(synthesizer, request.voice)
    speech = speak_raw(synthesizer, request.text, voice, sampling, language=options.language)
    tags = speech_tags(synthesizer.card.checkpoint_id, None if voice is None else voice.codes, sampling)
    return write_speech(speech, options, tags)
