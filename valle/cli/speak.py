"""`valle speak "text" --prompt voice.wav --out speech.wav`, or a whole book by `--text-file`."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict
from pydantic_settings import CliPositionalArg

from valle.audio import AudioLocation, UnreadableAudio, read_audio, write_audio
from valle.backends.registry import Backends
from valle.checkpoints.runs import EMBEDDED, latest_checkpoint, newest_checkpoint
from valle.cli.arguments import parse, say
from valle.data_root import open_data_root
from valle.synthesis.long_form import LongFormOptions, LongSpeech, Piece, speak_long
from valle.synthesis.options import BestOfOptions, SamplingOptions
from valle.synthesis.preferred import read_sampling
from valle.synthesis.synthesizer import Prompt, Synthesizer
from warehouse.errors import ConfigurationError


class SpeakOptions(BaseModel):
    """Say a text in the voice of a prompt."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    text: CliPositionalArg[str] = ""
    """What to say, of any length; - reads it from standard input."""
    text_file: Path | None = None
    """UTF-8 file with what to say, instead."""
    prompt: Path | None = None
    """Recording that sets the voice; 3 to 6 seconds of one speaker are best. Without it the seed chooses a voice."""
    prompt_text: str = ""
    """What the prompt says; only needed to go on from it (`--sampling.continues-prompt`)."""
    out: Path = Path("speech.wav")
    """File for the speech: .wav, .flac or .ogg."""
    codes: Path | None = None
    """File for its codes, too: .npy, int16 [codebooks, frames]."""
    language: str = "en"
    """ISO 639-1 code."""
    run: str | None = None
    """Name of a training run; its newest checkpoint speaks. By default the run that was trained last, or else `words`,
    which comes with the package."""
    checkpoint: Path | None = None
    """A checkpoint directory, instead of a run."""
    device: str = "cpu"
    """Torch device."""
    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""
    sampling: SamplingOptions | None = None
    """How speech is sampled; what is left open is as its training said (`valle train --options.sampling`)."""
    long_form: LongFormOptions = LongFormOptions()
    """How a long text is taken apart and joined."""
    best_of: BestOfOptions = BestOfOptions()
    """How one of several takes is chosen."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Speak a text; 1 when a part of it is missing."""
    options = parse(SpeakOptions, command, arguments)
    if options.out.suffix not in (".wav", ".flac", ".ogg"):
        raise ConfigurationError(f"--out must end in .wav, .flac or .ogg, not {options.out.name!r}.")
    if options.codes is not None and options.codes.suffix != ".npy":
        raise ConfigurationError(f"--codes must end in .npy, not {options.codes.name!r}.")
    text = _text(options)
    checkpoint = _checkpoint(options)
    synthesizer = Synthesizer.load(checkpoint, Backends(device=options.device))
    spoken = speak_long(
        synthesizer,
        text,
        _prompt(options, synthesizer),
        language=options.language,
        sampling=(options.sampling or SamplingOptions()).over(read_sampling(checkpoint)),
        options=options.long_form,
        best_of=options.best_of,
    )
    return _write(spoken, options)


def _text(options: SpeakOptions) -> str:
    if bool(options.text) == (options.text_file is not None):
        raise ConfigurationError("Give what to say: a text, - for standard input, or --text-file.")
    try:
        if options.text_file is not None:
            return options.text_file.read_text(encoding="utf-8-sig")
        return sys.stdin.buffer.read().decode("utf-8-sig") if options.text == "-" else options.text
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The text cannot be read ({error}); give UTF-8 text.") from error


def _prompt(options: SpeakOptions, synthesizer: Synthesizer) -> Prompt | None:
    if options.prompt is None:
        return None
    try:
        audio = read_audio(AudioLocation(str(options.prompt)), synthesizer.codec.spec.sample_rate)
    except UnreadableAudio as error:
        raise ConfigurationError(f"The prompt cannot be read ({error}); give a recording of speech.") from error
    return synthesizer.prompt(audio, options.prompt_text, options.language)


def _write(spoken: LongSpeech, options: SpeakOptions) -> int:
    for piece in spoken.pieces:
        _tell_takes(piece)
        if piece.problem is not None:
            sys.stderr.write(f"valle: {piece.text!r}: {piece.problem}; {_advice(piece)}\n")
    speech = spoken.speech
    if not len(speech.audio.samples):
        return 1
    write_audio(options.out, speech.audio)
    if options.codes is not None:
        options.codes.parent.mkdir(parents=True, exist_ok=True)
        np.save(options.codes, speech.codes)
    sentences = f" ({len(spoken.pieces)} sentences)" if len(spoken.pieces) > 1 else ""
    say(f"{options.out}: {speech.duration:.2f} s of speech in {speech.seconds:.1f} s{sentences}")
    return 0 if all(piece.is_spoken for piece in spoken.pieces) else 1


def _advice(piece: Piece) -> str:
    if not piece.symbols:
        return "leave it out."
    return "set --sampling.max-seconds higher." if piece.is_spoken else "try another --sampling.seed."


def _tell_takes(piece: Piece) -> None:
    """The scores of several takes, one a line."""
    if piece.takes is None or len(piece.takes.takes) < 2:
        return
    say(piece.text)
    for index, take in enumerate(piece.takes.takes):
        assert take.opinion is not None, "several takes are always compared"
        parts = [
            f"{name} {value:.3f}"
            for name, value in (
                ("WER", take.opinion.word_error_rate),
                ("CER", take.opinion.character_error_rate),
                ("voice", take.opinion.voice),
                ("score", take.opinion.score),
            )
            if value is not None
        ]
        mark = "*" if index == piece.takes.chosen else " "
        say(f"  {mark} seed {take.seed:10d}  {'  '.join(parts)}  {take.opinion.heard or ''}".rstrip())


def _checkpoint(options: SpeakOptions) -> Path:
    if options.checkpoint is not None:
        return options.checkpoint
    runs = open_data_root(options.data).runs
    if options.run is not None:
        return newest_checkpoint(runs, options.run)
    trained = sorted(runs.glob("*"), key=lambda path: path.stat().st_mtime, reverse=True)
    found = (checkpoint for path in trained if (checkpoint := latest_checkpoint(path)) is not None)
    return next(found, None) or newest_checkpoint(runs, EMBEDDED)
