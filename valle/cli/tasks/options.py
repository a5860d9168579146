"""Options that all commands of a checkpoint share, and what they do with them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pydantic import BaseModel, ConfigDict

from valle.cli.arguments import say
from valle.synthesis.options import SamplingOptions, read_sampling
from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from valle.api import LoadedModel, SynthesizedAudio
    from valle.synthesis.texts.recorded_text import RecordedText


class CheckpointChoice(Protocol):
    """The options that name a checkpoint."""

    @property
    def run(self) -> str | None:
        """Name of a training run."""

    @property
    def checkpoint(self) -> Path | None:
        """A checkpoint directory."""

    @property
    def data(self) -> Path | None:
        """Root of all data."""


class CheckpointOptions(BaseModel):
    """Options of a command that runs a checkpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    run: str | None = None
    """Name of a training run, whose newest checkpoint is used. By default the embedded checkpoint, or a run with a
    better measured word error rate on the same sentences."""
    checkpoint: Path | None = None
    """A checkpoint directory, instead of a run."""
    device: str = "cpu"
    """Torch device."""
    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""


class SpeechOptions(CheckpointOptions):
    """Options of a command that makes speech."""

    out: Path = Path("speech.wav")
    """Audio file: .wav, .flac or .ogg."""
    codes: Path | None = None
    """File for the codes, too: .npy, int16 [codebooks, frames]."""
    language: str = "en"
    """ISO 639-1 code; `auto` detects it."""
    sampling: SamplingOptions | None = None
    """Sampling; what is left open is as the training of the checkpoint set it."""


class RecordingOptions(SpeechOptions):
    """Options of a command that speaks a recording again."""

    text: str = ""
    """Text of the recording; by default it is transcribed where the task speaks it again."""
    asr: str | None = None
    """ASR model that transcribes the recording and locates its words: `tiny.en`, `base` or another faster-whisper name;
    by default `tiny.en` for English, else `base`."""


def check_suffixes(out: Path | None, codes: Path | None) -> None:
    """Return if the files can be written by their suffixes. Raises ConfigurationError."""
    if out is not None and out.suffix not in (".wav", ".flac", ".ogg"):
        raise ConfigurationError(f"--out must end in .wav, .flac or .ogg, not {out.name!r}.")
    if codes is not None and codes.suffix != ".npy":
        raise ConfigurationError(f"--codes must end in .npy, not {codes.name!r}.")


def find_checkpoint(options: CheckpointChoice) -> Path:
    """Return the directory of the checkpoint that the options name, or of the default one, whose reason is printed."""
    from valle.synthesis import default_checkpoint

    directory, reason = default_checkpoint.find_checkpoint(
        data=options.data, run=options.run, checkpoint=options.checkpoint
    )
    if reason is not None:  # on standard error: standard output has the file and scores only
        sys.stderr.write(f"valle: {reason}\n")
    return directory


def detected_language(language: str, text: str, familiar: Sequence[str]) -> str:
    """Return a language, or for `auto` that of the text, which is printed; a guess prefers `familiar` languages.

    Raises ConfigurationError for `auto` without a text.
    """
    from valle.text.language import AUTO, resolve_language

    found = resolve_language(language, text, familiar)
    if language == AUTO:
        doubt = "" if found.is_sure else ", but the text is too short to be sure; set --language"
        sys.stderr.write(f"valle: the language of the text is {found.language} ({found.probability:.2f}){doubt}.\n")
    return found.language


def open_model(options: SpeechOptions) -> LoadedModel:
    """Load the checkpoint of the options."""
    from valle.api import LoadedModel
    from valle.backends.registry import Backends
    from valle.synthesis.synthesizer import Synthesizer

    check_suffixes(options.out, options.codes)
    checkpoint = find_checkpoint(options)
    return LoadedModel(Synthesizer.load(checkpoint, Backends(device=options.device)), read_sampling(checkpoint))


def write_speech(speech: SynthesizedAudio, options: SpeechOptions, note: str = "") -> None:
    """Write speech with its tags to the files of the options, and print the file with a note."""
    from valle.synthesis.speech_file import SpeechFile

    with SpeechFile(options.out, speech.sample_rate, codes=options.codes, tags=speech.tags) as file:
        file.append(speech.samples, speech.codes)
    say(f"{options.out}: {speech.duration:.2f} s of speech{note}")


def report_text(source: RecordedText) -> None:
    """Print the text of a recording and its language where they were not given, on standard error."""
    if note := source.note:
        sys.stderr.write(f"valle: {note}\n")
