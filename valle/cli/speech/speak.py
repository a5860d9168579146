"""`valle speak "text" --prompt voice.wav --out speech.wav`, or a whole book by `--text-file`."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from valle.cli.arguments import FIELDS, CommandLineError, say
from valle.cli.speech.speak_options import SpeakOptions
from valle.cli.speech.speak_prompts import Encode, check_prompt, encode_prompt, read_prompts
from valle.cli.tasks.batch import VOICE_COLUMNS, BatchWork, read_batch, run_all
from valle.cli.tasks.options import check_suffixes, detected_language, find_checkpoint
from valle.cli.terminal import SentenceProgress
from valle.synthesis.options import (
    SamplingOptions,
    read_sampling,
)
from valle.synthesis.speech_tags import speech_tags
from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from valle.synthesis.long_form import Passage, Piece
    from valle.synthesis.streaming.narration import Chunk
    from valle.synthesis.streaming.outputs import SpeechOutput
    from valle.synthesis.synthesizer import Prompt, Synthesizer


# Options that have a meaning for the tasks beside text-to-speech.
_OF_TASKS = frozenset({"source", "prompt", "language", "text_file", "batch", "out", "codes", "sampling", "transcribe"})
_OF_CHECKPOINTS = ("run", "checkpoint", "device", "data")
# Part of a text that is checked for symbols the checkpoint does not have.
_CHECKED_CHARACTERS = 2000
_TEXT = "Text of any length; - reads it from standard input."


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
    if options.task != "tts":
        return _run_task(text, options)
    _check(options)
    requests = read_batch(options, text) if options.batch is not None else [(_read_text(text, options), options)]
    for _, one in requests:
        check_prompt(one)
    checkpoint = find_checkpoint(options)
    from valle.backends.registry import Backends
    from valle.checkpoints.adapters import parse_adapters
    from valle.data_root import open_data_root
    from valle.synthesis.synthesizer import ModelPlacement, Synthesizer
    from valle.text.lexicon import find_lexicon

    placement = ModelPlacement(options.precision, options.device_gigabytes, options.attention, runtime=options.runtime)
    synthesizer = Synthesizer.load(checkpoint, Backends(device=options.device), parse_adapters(options.lora), placement)
    lexicon = find_lexicon(options.lexicon, open_data_root(options.data).root)
    synthesizer = dataclasses.replace(synthesizer, lexicon=lexicon)
    # The lines of a batch often have the same prompt.
    encode = lru_cache(maxsize=64)(partial(encode_prompt, synthesizer))
    return run_all(
        [
            BatchWork(str(one.out), partial(_speak_one, synthesizer, checkpoint, encode, text, one))
            for text, one in requests
        ]
    )


def _speak_one(synthesizer: Synthesizer, checkpoint: Path, encode: Encode, text: str, options: SpeakOptions) -> int:
    options = _with_language(synthesizer, text, options)
    prompt = read_prompts(options, synthesizer, encode)
    sampling = (options.sampling or SamplingOptions()).over(read_sampling(checkpoint))
    tags = speech_tags(synthesizer.card.checkpoint_id, None if prompt is None else prompt.codes, sampling)
    spoken = _speak(synthesizer, text, prompt, sampling, options)
    return _write(spoken, options, synthesizer.codec.spec.sample_rate, tags)


def _with_language(synthesizer: Synthesizer, text: str, options: SpeakOptions) -> SpeakOptions:
    """Detect the language of the text where that is asked for, and warn of what the checkpoint has never seen."""
    from valle.synthesis.learnt import unfamiliar

    language = detected_language(options.language, text, synthesizer.card.model.languages)
    options = options.model_copy(update={"language": language})
    symbols = synthesizer.phonemize(text[:_CHECKED_CHARACTERS], options.language)
    for warning in unfamiliar(synthesizer.card, symbols, options.speech_language or options.language):
        sys.stderr.write(f"valle: {warning}\n")
    return options


def _speak(
    synthesizer: Synthesizer, text: str, prompt: Prompt | None, sampling: SamplingOptions, options: SpeakOptions
) -> Iterator[Passage | Chunk]:
    language, long_form = options.language, options.long_form
    if options.is_stream:
        from valle.synthesis.streaming.engine import iterate_chunks

        return iterate_chunks(
            synthesizer,
            text,
            prompt,
            language=language,
            sampling=sampling,
            long_form=long_form,
            options=options.streaming,
            speech_language=options.speech_language,
        )
    from valle.synthesis.long_form import iterate_passages

    return iterate_passages(
        synthesizer,
        text,
        prompt,
        language=language,
        sampling=sampling,
        options=long_form,
        best_of=options.best_of,
        speech_language=options.speech_language,
    )


def _run_task(text: str, options: SpeakOptions) -> int:
    from valle.cli.tasks.dispatch import TaskRequest, run_task, task_command

    command = task_command(options.task)
    if unused := options.model_fields_set - _OF_TASKS - {"task", *_OF_CHECKPOINTS}:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(unused))
        raise ConfigurationError(f"The task {options.task} has no {names}; leave it out.")
    if len(options.prompt) > 1:
        raise ConfigurationError(f"The task {options.task} has one --prompt.")
    if options.batch is not None:
        requests = read_batch(options, text, command.needs, (*VOICE_COLUMNS, "text"))
    else:
        check_suffixes(options.out, options.codes)
        needs_text = "text" in command.needs or options.text_file is not None
        requests = [(_read_text(text, options) if needs_text else text, options)]
    return run_task(
        options.task,
        [
            TaskRequest(
                text=text,
                source=one.source,
                voice=one.prompt[0] if one.prompt else None,
                language=one.language,
                out=one.out,
                codes=one.codes,
                sampling=one.sampling,
                transcribe=one.transcribe,
                checkpoint={name: getattr(one, name) for name in _OF_CHECKPOINTS},
                is_one_of_several=options.batch is not None,
            )
            for text, one in requests
        ],
    )


def _check(options: SpeakOptions) -> None:
    if options.is_stream and options.best_of.count > 1:
        raise ConfigurationError("Best-of-n compares whole sentences; leave --stream and --play or --best-of out.")
    if options.is_stream and options.streaming.window and options.sampling and options.sampling.likeliest_of > 1:
        raise ConfigurationError(
            "A stream begins before its sentence could be drawn again; leave --sampling.likeliest-of out, or set "
            "--streaming.window to 0."
        )
    if options.is_piped and not options.is_stream:
        raise ConfigurationError("--out - needs --stream.")
    if options.source is not None:
        raise ConfigurationError("--source is for a --task that is given a recording.")
    check_suffixes(None if options.is_piped else options.out, options.codes)


def _read_text(text: str, options: SpeakOptions) -> str:
    if bool(text) == (options.text_file is not None):
        raise ConfigurationError("Give a text, - for standard input, or --text-file.")
    try:
        if options.text_file is not None:
            return options.text_file.read_text(encoding="utf-8-sig")
        return sys.stdin.buffer.read().decode("utf-8-sig") if text == "-" else text
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The text cannot be read ({error}); give UTF-8 text.") from error


def _write(spoken: Iterator[Passage | Chunk], options: SpeakOptions, sample_rate: int, tags: Mapping[str, str]) -> int:
    """Write speech as it is finished: an interruption loses what is not yet synthesized only."""
    num_spoken = num_done = num_pieces = 0
    with ExitStack() as stack:
        outputs = _open_outputs(options, sample_rate, tags)
        for output in outputs:
            stack.enter_context(closing(output))
        progress = stack.enter_context(SentenceProgress())
        try:
            for part in spoken:
                for output in outputs:
                    output.append(part.samples, part.codes)
                num_done, num_pieces = part.num_done, part.num_pieces
                if part.piece is not None:
                    num_spoken += part.piece.is_spoken
                    progress.clear()
                    _report(part.piece)
                    progress.update(num_done, num_pieces, outputs[0].seconds)
        finally:  # an interruption ends with the seconds that are in the file
            progress.clear()
            if seconds := outputs[0].seconds:
                sentences = f" ({num_done} of {num_pieces} sentences)" if num_pieces > 1 else ""
                line = f"{options.out}: {seconds:.2f} s of speech in {progress.elapsed:.1f} s{sentences}"
                # Standard output has the speech itself then.
                sys.stderr.write(f"{line}\n") if options.is_piped else say(line)
    return 0 if num_spoken == num_pieces else 1


def _open_outputs(options: SpeakOptions, sample_rate: int, tags: Mapping[str, str]) -> Sequence[SpeechOutput]:
    from valle.synthesis.speech_file import SpeechFile
    from valle.synthesis.streaming.outputs import Loudspeaker, SpeechPipe

    first: SpeechOutput = (
        SpeechPipe(sys.stdout.buffer, sample_rate, tags)
        if options.is_piped
        else SpeechFile(options.out, sample_rate, codes=options.codes, tags=tags)
    )
    if options.watermark:
        from valle.synthesis.streaming.outputs import MarkedOutput
        from valle.watermark import open_watermark

        first = MarkedOutput(first, open_watermark(sample_rate))
    return [first, Loudspeaker(sample_rate)] if options.play else [first]


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
