"""`valle speak "text" --prompt voice.wav --out speech.wav`, or a whole book by `--text-file`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict

from valle.cli.arguments import FIELDS, CommandLineError, say
from valle.cli.tasks.options import check_suffixes, find_checkpoint
from valle.cli.terminal import SentenceProgress
from valle.synthesis.options import BestOfOptions, LongFormOptions, SamplingOptions, read_sampling
from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from valle.synthesis.long_form import Passage, Piece
    from valle.synthesis.synthesizer import Prompt, Synthesizer


_TEXT = "Text of any length; - reads it from standard input."


class SpeakOptions(BaseModel):
    """Options of `valle speak`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    text_file: Path | None = None
    """UTF-8 file with the text, instead."""
    prompt: Path | None = None
    """Recording of the speaker; 3 to 6 seconds are best. Without it the seed chooses a voice."""
    prompt_text: str = ""
    """Text of the prompt; needed to continue it (`--sampling.continues-prompt`)."""
    out: Path = Path("speech.wav")
    """Audio file: .wav, .flac or .ogg."""
    codes: Path | None = None
    """File for the codes, too: .npy, int16 [codebooks, frames]."""
    language: str = "en"
    """ISO 639-1 code."""
    run: str | None = None
    """Name of a training run, whose newest checkpoint speaks. By default the embedded checkpoint, or a run with a
    better measured word error rate on the same sentences."""
    checkpoint: Path | None = None
    """A checkpoint directory, instead of a run."""
    device: str = "cpu"
    """Torch device."""
    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""
    sampling: SamplingOptions | None = None
    """Sampling; what is left open is as its training set it (`valle train --options.sampling`)."""
    long_form: LongFormOptions = LongFormOptions()
    """How a long text is split and joined."""
    best_of: BestOfOptions = BestOfOptions()
    """How one of several candidates is chosen."""


def speak(
    text: Annotated[
        str, Parameter(help="Text of any length; `-` reads it from standard input.", allow_leading_hyphen=True)
    ] = "",
    /,
    *,
    options: Annotated[SpeakOptions, FIELDS] = SpeakOptions(),
) -> int:
    """Synthesize a text in the voice of a prompt; 1 when a sentence is missing from the speech."""
    if text.startswith("--"):  # a leading hyphen is allowed for `-`, and for texts such as "-5 degrees"
        raise CommandLineError(f"Unknown option: {text}.")
    check_suffixes(options.out, options.codes)
    text = _read_text(text, options)
    checkpoint = find_checkpoint(options)
    from valle.backends.registry import Backends
    from valle.synthesis.long_form import iterate_passages
    from valle.synthesis.synthesizer import Synthesizer

    synthesizer = Synthesizer.load(checkpoint, Backends(device=options.device))
    passages = iterate_passages(
        synthesizer,
        text,
        _read_prompt(options, synthesizer),
        language=options.language,
        sampling=(options.sampling or SamplingOptions()).over(read_sampling(checkpoint)),
        options=options.long_form,
        best_of=options.best_of,
    )
    return _write(passages, options, synthesizer.codec.spec.sample_rate)


def _read_text(text: str, options: SpeakOptions) -> str:
    if bool(text) == (options.text_file is not None):
        raise ConfigurationError("Give a text, - for standard input, or --text-file.")
    try:
        if options.text_file is not None:
            return options.text_file.read_text(encoding="utf-8-sig")
        return sys.stdin.buffer.read().decode("utf-8-sig") if text == "-" else text
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The text cannot be read ({error}); give UTF-8 text.") from error


def _read_prompt(options: SpeakOptions, synthesizer: Synthesizer) -> Prompt | None:
    if options.prompt is None:
        return None
    from valle.synthesis.prompts import LONGEST_SECONDS, read_prompt

    audio = read_prompt(options.prompt, synthesizer.codec.spec.sample_rate)
    if audio.duration >= LONGEST_SECONDS:
        if options.prompt_text:
            raise ConfigurationError(
                f"{options.prompt} is longer than {LONGEST_SECONDS:g} s, so that --prompt-text does not fit what is "
                "used of it; give a shorter prompt."
            )
        sys.stderr.write(f"valle: the first {LONGEST_SECONDS:g} s of {options.prompt} are the prompt.\n")
    return synthesizer.encode_prompt(audio, options.prompt_text, options.language)


def _write(passages: Iterator[Passage], options: SpeakOptions, sample_rate: int) -> int:
    """Write each sentence as it is finished: an interruption loses the current one only."""
    from valle.synthesis.speech_file import SpeechFile

    num_spoken = num_done = num_pieces = 0
    with SpeechFile(options.out, sample_rate, codes=options.codes) as file, SentenceProgress() as progress:
        try:
            for passage in passages:
                file.append(passage.samples, passage.codes)
                num_spoken += passage.piece.is_spoken
                num_done, num_pieces = passage.num_done, passage.num_pieces
                progress.clear()
                _report(passage.piece)
                progress.update(num_done, num_pieces, file.seconds)
        finally:  # an interruption ends with the seconds that are in the file
            progress.clear()
            if file.seconds:
                sentences = f" ({num_done} of {num_pieces} sentences)" if num_pieces > 1 else ""
                say(f"{options.out}: {file.seconds:.2f} s of speech in {progress.elapsed:.1f} s{sentences}")
    return 0 if num_spoken == num_pieces else 1


def _report(piece: Piece) -> None:
    """Print the scores of candidates, and the problem of a sentence that has one."""
    if piece.candidates is not None:
        say(piece.text)
        for index, candidate in enumerate(piece.candidates.candidates):
            score = candidate.score
            values = (
                ("WER", score.word_error_rate),
                ("CER", score.character_error_rate),
                ("similarity", score.similarity),
                ("score", score.total),
            )
            shown = "  ".join(f"{name} {value:.3f}" for name, value in values if value is not None)
            mark = "*" if index == piece.candidates.chosen else " "
            say(f"  {mark} seed {candidate.seed:10d}  {shown}  {score.transcription or ''}".rstrip())
    if piece.problem is not None:
        sys.stderr.write(f"valle: {piece.text!r}: {piece.problem}; {_advice(piece)}\n")


def _advice(piece: Piece) -> str:
    if not piece.symbols:
        return "leave it out, or set --language."
    return "set --sampling.max-seconds higher." if piece.is_spoken else "try another --sampling.seed."
