"""`valle denoise`, `valle remove-speech`, `valle extract --voice` and `valle convert --voice`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from pydantic import Field

from valle.cli.arguments import FIELDS
from valle.cli.tasks.options import RecordingOptions, open_model, report_text, write_speech
from valle.synthesis.options import ConversionMethod, SamplingOptions
from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from valle.api import LoadedModel, TransformedSpeech

Recording = Annotated[Path, Parameter(help="The recording.")]


class TransformOptions(RecordingOptions):
    """Options of the commands that make one recording of another."""

    transcribe: bool = True
    """Transcribe a recording without `--text`; otherwise the task has no words of it."""


class VoiceOptions(TransformOptions):
    """Options of the commands that need a voice."""

    voice: Path | None = None
    """Recording of the speaker; 3 to 6 seconds are best."""


class ConvertOptions(VoiceOptions):
    """Options of `valle convert`."""

    method: ConversionMethod = "task"
    """`task` for a checkpoint that has learnt to convert, `singing` for one that has learnt songs; `draft` speaks the
    text of the recording over its own codes, with any checkpoint that decodes NAR-len."""
    kept: float = Field(default=0.3, ge=0, lt=1)
    """Of `draft`: how much of the recording survives, 0 nothing."""


def denoise(recording: Recording, /, *, options: Annotated[TransformOptions, FIELDS] = TransformOptions()) -> int:
    """Remove noise and reverberation from recorded speech."""
    return apply_transform("ns", recording, options, None, open_model(options), transcribe=options.transcribe)


def remove_speech(recording: Recording, /, *, options: Annotated[RecordingOptions, FIELDS] = RecordingOptions()) -> int:
    """Remove the speech from a recording and keep its noise."""
    return apply_transform("sr", recording, options, None, open_model(options))


def extract(recording: Recording, /, *, options: Annotated[VoiceOptions, FIELDS] = VoiceOptions()) -> int:
    """Extract one speaker from a recording of two."""
    model = open_model(options)
    return apply_transform("tse", recording, options, options.voice, model, transcribe=options.transcribe)


def convert(recording: Recording, /, *, options: Annotated[ConvertOptions, FIELDS] = ConvertOptions()) -> int:
    """Give recorded speech another voice, with the same words and rhythm."""
    if options.voice is None:
        raise ConfigurationError("Give --voice with 3 to 6 seconds of the speaker.")
    converted = open_model(options).convert(
        recording,
        options.voice,
        method=options.method,
        kept=options.kept,
        text=options.text,
        language=options.language,
        transcribe=options.transcribe,
        asr=options.asr,
        sampling=options.sampling or SamplingOptions(),
    )
    return _write(converted, options)


def apply_transform(
    task: str,
    recording: Path,
    options: RecordingOptions,
    voice: Path | None,
    model: LoadedModel,
    *,
    transcribe: bool = True,
) -> int:
    """Run one task on a recording and write the result; 1 when the longest duration cut it."""
    done = model.transform(
        task,
        recording,
        voice,
        text=options.text,
        language=options.language,
        transcribe=transcribe,
        asr=options.asr,
        sampling=options.sampling or SamplingOptions(),
    )
    return _write(done, options)


def _write(done: TransformedSpeech, options: RecordingOptions) -> int:
    report_text(done.source)
    write_speech(done, options)
    return 0 if done.is_complete else 1
