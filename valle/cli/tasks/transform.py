"""`valle denoise`, `valle remove-speech`, `valle extract --voice` and `valle convert --voice`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from pydantic import Field

from valle.cli.arguments import FIELDS, say
from valle.cli.tasks.options import SpeechOptions, open_synthesizer
from valle.synthesis.options import ConversionMethod, SamplingOptions
from valle.synthesis.speech_tags import speech_tags
from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from valle.synthesis.synthesizer import Prompt, Speech, Synthesizer

Recording = Annotated[Path, Parameter(help="The recording.")]


class TransformOptions(SpeechOptions):
    """Options of the commands that make one recording of another."""

    text: str = ""
    """Text of the recording, where it is known: it helps."""


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
    asr: str = "tiny.en"
    """Of `draft`: ASR model that transcribes a recording without `--text`."""


def denoise(recording: Recording, /, *, options: Annotated[TransformOptions, FIELDS] = TransformOptions()) -> int:
    """Remove noise and reverberation from recorded speech."""
    return apply_transform("ns", recording, options, None, open_synthesizer(options)[0])


def remove_speech(recording: Recording, /, *, options: Annotated[TransformOptions, FIELDS] = TransformOptions()) -> int:
    """Remove the speech from a recording and keep its noise."""
    return apply_transform("sr", recording, options, None, open_synthesizer(options)[0])


def extract(recording: Recording, /, *, options: Annotated[VoiceOptions, FIELDS] = VoiceOptions()) -> int:
    """Extract one speaker from a recording of two."""
    return apply_transform("tse", recording, options, options.voice, open_synthesizer(options)[0])


def convert(recording: Recording, /, *, options: Annotated[ConvertOptions, FIELDS] = ConvertOptions()) -> int:
    """Give recorded speech another voice, with the same words and rhythm."""
    if options.method == "draft":
        return _convert_draft(recording, options)
    task = "vc" if options.method == "task" else "svc"
    return apply_transform(task, recording, options, options.voice, open_synthesizer(options)[0])


def apply_transform(
    task: str, recording: Path, options: TransformOptions, voice: Path | None, synthesizer: Synthesizer
) -> int:
    """Run one task on a recording and write the result; 1 when the longest duration cut it."""
    from valle.synthesis.prompts import read_speech
    from valle.synthesis.transforms import require_transform, transform, transform_sampling

    require_transform(synthesizer, task)
    sampling = transform_sampling(synthesizer, options.sampling or SamplingOptions())
    prompt = read_voice(synthesizer, voice)
    speech = transform(
        synthesizer,
        task,
        read_speech(recording),
        sampling,
        voice=prompt,
        text=options.text,
        language=options.language,
    )
    return write_speech(speech, options, _tags(synthesizer, prompt, sampling))


def _convert_draft(recording: Path, options: ConvertOptions) -> int:
    from valle.synthesis.prompts import read_speech
    from valle.synthesis.transforms import convert_draft, transcribed

    synthesizer, sampling = open_synthesizer(options)
    voice = read_voice(synthesizer, options.voice)
    if voice is None:
        raise ConfigurationError("Give --voice with 3 to 6 seconds of the speaker.")
    audio = read_speech(recording)
    text = options.text
    if not text:
        text = transcribed(synthesizer, audio, asr=options.asr, language=options.language)
        sys.stderr.write(f"valle: the recording was transcribed as {text!r}.\n")
    language = options.language
    speech = convert_draft(synthesizer, audio, voice, sampling, text=text, language=language, kept=options.kept)
    return write_speech(speech, options, _tags(synthesizer, voice, sampling))


def _tags(synthesizer: Synthesizer, voice: Prompt | None, sampling: SamplingOptions) -> Mapping[str, str]:
    return speech_tags(synthesizer.card.checkpoint_id, None if voice is None else voice.codes, sampling)


def read_voice(synthesizer: Synthesizer, path: Path | None) -> Prompt | None:
    """Read and encode the recording of a speaker, if one is given."""
    from valle.synthesis.prompts import read_prompt

    if path is None:
        return None
    return synthesizer.encode_prompt(read_prompt(path, synthesizer.codec.spec.sample_rate))


def write_speech(speech: Speech, options: SpeechOptions, tags: Mapping[str, str]) -> int:
    """Write speech with its tags to the files of the options; 1 when the longest duration cut it."""
    from valle.synthesis.speech_file import SpeechFile

    with SpeechFile(options.out, speech.audio.sample_rate, codes=options.codes, tags=tags) as file:
        file.append(speech.audio.samples, speech.codes)
    say(f"{options.out}: {speech.duration:.2f} s in {speech.seconds:.1f} s")
    return 0 if speech.is_complete else 1
