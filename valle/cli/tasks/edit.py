"""`valle edit speech.wav --replace "old words=new words" --out edited.wav`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from valle.cli.arguments import FIELDS, say
from valle.cli.tasks.options import SpeechOptions, open_synthesizer
from valle.synthesis.options import EditingMethod
from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from valle.synthesis.options import SamplingOptions
    from valle.synthesis.synthesizer import Synthesizer


class EditOptions(SpeechOptions):
    """Options of `valle edit`."""

    replace: tuple[str, ...] = ()
    """Words of the recording and the words in their place, as "old words=new words"; "old words=" cuts them out. Give
    it once for each place."""
    text: str = ""
    """Text of the recording; by default it is transcribed."""
    method: EditingMethod = "task"
    """`task` for a checkpoint that has learnt to edit, `noisy` for one that has learnt to edit noisy speech, whose
    noise the new words have; `masked` for any that decodes NAR-len: text-to-speech around the words that are kept."""
    asr: str = "tiny.en"
    """ASR model that transcribes the recording and locates its words."""


def edit(
    recording: Annotated[Path, Parameter(help="Recorded speech of at most 30 s.")],
    /,
    *,
    options: Annotated[EditOptions, FIELDS] = EditOptions(),
) -> int:
    """Replace words of recorded speech; everything else stays as it is, code by code."""
    if not options.replace:
        raise ConfigurationError('Give --replace "old words=new words".')
    return edit_file(recording, options, *open_synthesizer(options))


def edit_file(recording: Path, options: EditOptions, synthesizer: Synthesizer, sampling: SamplingOptions) -> int:
    """Edit a recording and write the result; 1 when the longest duration cut a span."""
    from valle.synthesis.editing import edit as edit_recording
    from valle.synthesis.editing import parse_replacement, read_recording, require_editing
    from valle.synthesis.prompts import read_speech
    from valle.synthesis.speech_file import SpeechFile
    from valle.synthesis.speech_tags import speech_tags

    replacements = [parse_replacement(one) for one in options.replace]
    require_editing(synthesizer, options.method)  # before the minutes that a transcription may take
    found = read_recording(
        synthesizer, read_speech(recording), text=options.text, language=options.language, asr=options.asr
    )
    edited = edit_recording(synthesizer, found, replacements, sampling, options.method)
    tags = speech_tags(synthesizer.card.checkpoint_id, None, sampling)
    with SpeechFile(options.out, edited.audio.sample_rate, codes=options.codes, tags=tags) as file:
        file.append(edited.audio.samples, edited.codes)
    say(edited.text)
    rate = synthesizer.codec.spec.frame_rate
    spans = ", ".join(f"{start / rate:.2f} to {end / rate:.2f} s" for start, end in edited.spans)
    say(f"{options.out}: {edited.audio.duration:.2f} s of speech, new from {spans}")
    return 0 if edited.is_complete else 1
