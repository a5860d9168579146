"""`valle speak --task NAME`: the other commands under the name of their task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from valle.cli.arguments import say
from valle.cli.tasks.batch import BatchWork, run_all
from valle.cli.tasks.options import SpeechOptions, detected_language, open_model
from valle.synthesis.options import EditingMethod, SamplingOptions
from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from valle.api import LoadedModel


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
    transcribe: bool = True
    is_one_of_several: bool = False

    @property
    def recording(self) -> Path:
        """The recording that a task is given."""
        if self.source is None:  # `run_task` has refused it
            raise ValueError("The request has no source.")
        return self.source

    @property
    def name(self) -> str:
        """Name of the request in a report: its recording, or its text."""
        return self.text if self.source is None else str(self.source)

    @property
    def speech_options(self) -> dict[str, Any]:
        """The options of the commands that make speech."""
        own = {"out": self.out, "codes": self.codes, "language": self.language, "sampling": self.sampling}
        return own | dict(self.checkpoint)


Command = Callable[["LoadedModel", TaskRequest], int]


@dataclass(frozen=True, slots=True)
class TaskCommand:
    """Input and output of a task as columns of a batch; `prompt` and `language` are always allowed."""

    needs: tuple[str, ...]
    run: Command


def task_command(name: str) -> TaskCommand:
    """Return the command of a task. Raises ConfigurationError for an unknown name."""
    if name not in _COMMANDS:
        raise ConfigurationError(f"--task is one of tts, {', '.join(_COMMANDS)}, not {name!r}.")
    return _COMMANDS[name]


def run_task(name: str, requests: Sequence[TaskRequest]) -> int:
    """Run a task on each request, with one loaded checkpoint, and return the exit code.

    Raises ConfigurationError for an unknown name and for a request that has no recording or no text and needs it.
    """
    command = task_command(name)
    for request in requests:
        if "source" in command.needs and request.source is None:
            raise ConfigurationError(f"The task {name} is given a recording: name it with --source.")
        if "text" in command.needs and not request.text:
            raise ConfigurationError(f"The task {name} is given a text: write it after `valle speak`.")
    model = open_model(SpeechOptions(**requests[0].speech_options))
    return run_all([BatchWork(one.name, partial(command.run, model, one)) for one in requests])


def _transform(name: str, model: LoadedModel, request: TaskRequest) -> int:
    from valle.cli.tasks.options import RecordingOptions
    from valle.cli.tasks.transform import apply_transform

    options = RecordingOptions(text=request.text, **request.speech_options)
    return apply_transform(name, request.recording, options, request.voice, model, transcribe=request.transcribe)


def _edit(method: EditingMethod, model: LoadedModel, request: TaskRequest) -> int:
    from valle.cli.tasks.edit import EditOptions, edit_file

    options = EditOptions(replace=(request.text,), method=method, **request.speech_options)
    return edit_file(request.recording, options, model)


def _transcribe(model: LoadedModel, request: TaskRequest) -> int:
    from valle.cli.tasks.tokens import TranscribeOptions, transcribe_file

    options = TranscribeOptions(language=request.language, **request.checkpoint)
    return _say(request, transcribe_file(model.synthesizer, request.recording, options)[0])


def _phonemize(model: LoadedModel, request: TaskRequest) -> int:
    from valle.synthesis.tokens import phonemize_text

    language = detected_language(request.language, request.text, model.synthesizer.card.model.languages)
    return _say(request, "".join(phonemize_text(model.synthesizer, request.text, language)))


def _say(request: TaskRequest, phonemes: str) -> int:
    # In a batch a row that failed has no line.
    say(f"{request.name}\t{phonemes}" if request.is_one_of_several else phonemes)
    return 0


def _speak_raw(model: LoadedModel, request: TaskRequest) -> int:
    from valle.api import SynthesizedAudio
    from valle.cli.tasks.options import write_speech
    from valle.synthesis.raw_text import speak_raw
    from valle.synthesis.speech_tags import speech_tags

    synthesizer = model.synthesizer
    language = detected_language(request.language, request.text, synthesizer.card.model.languages)
    voice = None if request.voice is None else model.prompt(request.voice)
    sampling = (request.sampling or SamplingOptions()).over(model.sampling)
    speech = speak_raw(synthesizer, request.text, voice, sampling, language=language)
    tags = speech_tags(synthesizer.card.checkpoint_id, None if voice is None else voice.codes, sampling)
    spoken = SynthesizedAudio(speech.audio.samples, speech.audio.sample_rate, speech.codes, tags)
    write_speech(spoken, SpeechOptions(**request.speech_options))
    return 0 if speech.is_complete else 1


_COMMANDS: Mapping[str, TaskCommand] = MappingProxyType(
    {
        **{
            name: TaskCommand(("out", "source"), partial(_transform, name)) for name in ("ns", "sr", "tse", "vc", "svc")
        },
        "cse": TaskCommand(("out", "source", "text"), partial(_edit, "task")),
        "nse": TaskCommand(("out", "source", "text"), partial(_edit, "noisy")),
        "stt": TaskCommand(("source",), _transcribe),
        "phn": TaskCommand(("text",), _phonemize),
        "tts-raw": TaskCommand(("out", "text"), _speak_raw),
    }
)
