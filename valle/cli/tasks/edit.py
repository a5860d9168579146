"""`valle edit speech.wav --replace "old words=new words" --out edited.wav`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from valle.cli.arguments import FIELDS, say
from valle.cli.tasks.options import RecordingOptions, open_model, report_text, write_speech
from valle.synthesis.options import EditingMethod, SamplingOptions
from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from valle.api import LoadedModel


class EditOptions(RecordingOptions):
    """Options of `valle edit`."""

    replace: tuple[str, ...] = ()
    """Words of the recording and the words in their place, as "old words=new words"; "old words=" cuts them out. Give
    it once for each place."""
    method: EditingMethod = "task"
    """`task` for a checkpoint that has learnt to edit, `noisy` for one that has learnt to edit noisy speech, whose
    noise the new words have; `masked` for any that decodes NAR-len: text-to-speech around the words that are kept."""


def edit(
    recording: Annotated[Path, Parameter(help="Recorded speech of at most 30 s.")],
    /,
    *,
    options: Annotated[EditOptions, FIELDS] = EditOptions(),
) -> int:
    """Replace words of recorded speech; everything else stays as it is, code by code."""
    if not options.replace:
        raise ConfigurationError('Give --replace "old words=new words".')
    return edit_file(recording, options, open_model(options))


def edit_file(recording: Path, options: EditOptions, model: LoadedModel) -> int:
    """Edit a recording and write the result; 1 when the longest duration cut a span."""
    from valle.synthesis.editing import parse_replacement

    pairs = [parse_replacement(one) for one in options.replace]
    edited = model.edit(
        recording,
        {pair.old: pair.new for pair in pairs},
        text=options.text,
        language=options.language,
        asr=options.asr,
        method=options.method,
        sampling=options.sampling or SamplingOptions(),
    )
    report_text(edited.source)
    say(edited.text)
    spans = ", ".join(f"{start:.2f} to {end:.2f} s" for start, end in edited.spans)
    write_speech(edited, options, f", new from {spans}")
    return 0 if edited.is_complete else 1
