"""`valle transcribe-speech speech.wav` and `valle phonemize-text "text"`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from valle.cli.arguments import FIELDS, say
from valle.cli.tasks.options import CheckpointOptions, detected_language, find_checkpoint

if TYPE_CHECKING:
    from valle.synthesis.synthesizer import Synthesizer


class TokenOptions(CheckpointOptions):
    """Options of the commands that write phonemes."""

    language: str = "en"
    """ISO 639-1 code; `auto` detects it."""


class TranscribeOptions(TokenOptions):
    """Options of `valle transcribe-speech`."""

    spell: bool = False
    """Write the text of the phonemes too, by a checkpoint that has learnt it."""


def transcribe_speech(
    recording: Annotated[Path, Parameter(help="Recorded speech.")],
    /,
    *,
    options: Annotated[TranscribeOptions, FIELDS] = TranscribeOptions(),
) -> int:
    """Print the phonemes of recorded speech, as the checkpoint transcribes it."""
    say("\n".join(transcribe_file(_load(options), recording, options)))
    return 0


def transcribe_file(synthesizer: Synthesizer, recording: Path, options: TranscribeOptions) -> list[str]:
    """Return the phonemes of recorded speech, and their text where the options ask for it."""
    from valle.synthesis.prompts import read_speech
    from valle.synthesis.tokens import spell_phonemes
    from valle.synthesis.tokens import transcribe_speech as transcribe

    symbols = transcribe(synthesizer, read_speech(recording), options.language)
    spelt = [spell_phonemes(synthesizer, symbols, options.language)] if options.spell else []
    return ["".join(symbols), *spelt]


def phonemize_text(
    text: Annotated[str, Parameter(help="A text.")],
    /,
    *,
    options: Annotated[TokenOptions, FIELDS] = TokenOptions(),
) -> int:
    """Print the phonemes of a text, as the checkpoint reads it without any phonemizer."""
    from valle.synthesis.tokens import phonemize_text as phonemize

    synthesizer = _load(options)
    language = detected_language(options.language, text, synthesizer.card.model.languages)
    say("".join(phonemize(synthesizer, text, language)))
    return 0


def _load(options: CheckpointOptions) -> Synthesizer:
    from valle.backends.registry import Backends
    from valle.synthesis.synthesizer import Synthesizer

    return Synthesizer.load(find_checkpoint(options), Backends(device=options.device))
