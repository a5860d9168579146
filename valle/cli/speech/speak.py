"""`valle speak "text" --prompt voice.wav --out speech.wav`, or a whole book by `--text-file`."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict, Field

from valle.cli.arguments import FIELDS, CommandLineError, say
from valle.cli.tasks.batch import VOICE_COLUMNS, BatchWork, read_batch, run_all
from valle.cli.tasks.options import check_suffixes, detected_language, find_checkpoint
from valle.cli.terminal import SentenceProgress
from valle.model.names import KernelName
from valle.synthesis.options import (
    BestOfOptions,
    LongFormOptions,
    Precision,
    Runtime,
    SamplingOptions,
    StreamOptions,
    read_sampling,
)
from valle.synthesis.speech_tags import speech_tags
from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from valle.synthesis.long_form import Passage, Piece
    from valle.synthesis.streaming.narration import Chunk
    from valle.synthesis.streaming.outputs import SpeechOutput
    from valle.synthesis.synthesizer import Prompt, Synthesizer


Encode = Callable[[Path, str, str], "Prompt"]
# Options that have a meaning for the tasks beside text-to-speech.
_OF_TASKS = frozenset({"source", "prompt", "language", "text_file", "batch", "out", "codes", "sampling", "transcribe"})
_OF_CHECKPOINTS = ("run", "checkpoint", "device", "data")
# Part of a text that is checked for symbols the checkpoint does not have.
_CHECKED_CHARACTERS = 2000
_TEXT = "Text of any length; - reads it from standard input."


class SpeakOptions(BaseModel):
    """Options of `valle speak`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    text_file: Path | None = None
    """UTF-8 file with the text, instead."""
    prompt: tuple[Path, ...] = ()
    """Recording of the speaker; 3 to 6 seconds are best. Without it the seed chooses a voice. Given several times, the
    recordings follow each other in one prompt, and several speakers give a voice between theirs."""
    prompt_shares: tuple[Annotated[float, Field(gt=0, le=1000)], ...] = ()
    """Share of each prompt, such as 0.7 and 0.3."""
    prompt_seconds: float | None = Field(default=None, ge=1, le=60)
    """Length to which the prompt is trimmed or repeated."""
    prefix_silence: float = Field(default=0.0, ge=0, le=5)
    """Seconds of silence before each sentence, which the AR continues."""
    prompt_text: str = ""
    """Text of the prompt; needed to continue it (`--sampling.continues-prompt`)."""
    out: Annotated[Path, Parameter(allow_leading_hyphen=True)] = Path("speech.wav")
    """Audio file: .wav, .flac or .ogg; - is standard output, as a WAV, with `--stream`."""
    stream: bool = False
    """Emit speech while its sentence is still synthesized."""
    play: bool = False
    """Play the speech, too; it includes `--stream`."""
    codes: Path | None = None
    """File for the codes, too: .npy, int16 [codebooks, frames]."""
    language: str = "en"
    """ISO 639-1 code of the text; `auto` detects it."""
    speech_language: str | None = None
    """ISO 639-1 code of the accent, where it is not that of the text."""
    batch: Path | None = None
    """Table of several texts, instead: tab-separated lines with the columns `out` and `text`, and optionally `prompt`,
    `language` and others, which are options of the same names; with `--task`, `source` too."""
    task: str = "tts"
    """Task, such as `tts-raw` (a text without phonemes), `ns`, `sr`, `tse`, `vc`, `svc`, `cse`, `nse`, `stt` or
    `phn`; the last have commands of their own."""
    source: Path | None = None
    """Recording that such a task is given; its text, or for `cse` and `nse` "old words=new words", is the text."""
    transcribe: bool = True
    """Transcribe the recording of such a task, and a prompt that is continued, where it has no text."""
    lexicon: Path | None = None
    """Pronunciations, a word, a tab and its IPA per line; by default `lexicon.tsv` of the data root, if it exists."""
    run: str | None = None
    """Name of a training run, whose newest checkpoint speaks. By default the embedded checkpoint, or a run with a
    better measured word error rate on the same sentences."""
    checkpoint: Path | None = None
    """A checkpoint directory, or a file that `valle export` wrote (.sft, .gguf), instead of a run."""
    lora: list[str] = []
    """Files of adapters that were trained on this checkpoint, each with its strength if it is not 1:
    `--lora a.safetensors --lora b.safetensors=0.5`."""
    device: str = "cpu"
    """Torch device."""
    precision: Precision = "fp32"
    """Number type of the weights: fp32, bf16 or fp16 for half of the memory, or int8 for a quarter and more speed on
    x86 CPUs."""
    runtime: Runtime = "torch"
    """Program that computes the trunk: torch, or llama.cpp on the CPU (`pip install 'valle[llama]'`)."""
    device_gigabytes: float | None = Field(default=None, gt=0, le=10_000)
    """Memory of the device that weights may take; blocks beyond it stay on the CPU until they compute."""
    attention: KernelName = "sdpa"
    """Kernel of attention, as in training."""
    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""
    sampling: SamplingOptions | None = None
    """Sampling; what is left open is as its training set it (`valle train --options.sampling`)."""
    long_form: LongFormOptions = LongFormOptions()
    """Splitting of a long text, and joining of its sentences."""
    best_of: BestOfOptions = BestOfOptions()
    """Choice among several candidates."""
    streaming: StreamOptions = StreamOptions()
    """The windows of `--stream`."""
    watermark: bool = False
    """Mark the speech as synthetic, inaudibly; `valle watermark detect` finds the mark."""

    @property
    def is_stream(self) -> bool:
        """Return whether speech is emitted while its sentence is still synthesized."""
        return self.stream or self.play

    @property
    def is_piped(self) -> bool:
        """Return whether the speech is written to standard output."""
        return str(self.out) == "-"


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
        _check_prompt(one)
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
    encode = lru_cache(maxsize=64)(partial(_encode_prompt, synthesizer))
    return run_all(
        [
            BatchWork(str(one.out), partial(_speak_one, synthesizer, checkpoint, encode, text, one))
            for text, one in requests
        ]
    )


def _speak_one(synthesizer: Synthesizer, checkpoint: Path, encode: Encode, text: str, options: SpeakOptions) -> int:
    options = _with_language(synthesizer, text, options)
    prompt = _read_prompt(options, synthesizer, encode)
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


def _check_prompt(options: SpeakOptions) -> None:
    """Refuse options of the prompt that contradict each other. Raises ConfigurationError."""
    if not options.prompt and (options.prefix_silence or options.prompt_shares or options.prompt_seconds):
        raise ConfigurationError("Options of the prompt need --prompt.")
    if options.prompt_text and (len(options.prompt) > 1 or options.prompt_seconds):
        raise ConfigurationError("--prompt-text is that of one whole prompt: leave out what changes the prompt.")
    if options.prompt_shares and len(options.prompt_shares) != len(options.prompt):
        raise ConfigurationError(
            f"There are {len(options.prompt)} prompts and {len(options.prompt_shares)} shares: give a share for each, "
            "or none."
        )


def _read_prompt(options: SpeakOptions, synthesizer: Synthesizer, encode: Encode) -> Prompt | None:
    from valle.synthesis.prompts import join_prompts

    if not options.prompt:
        return None
    prompts = [encode(path, options.prompt_text, options.language) for path in options.prompt]
    rate = synthesizer.codec.spec.frame_rate
    frames = None if options.prompt_seconds is None else max(1, round(options.prompt_seconds * rate))
    codes = join_prompts([prompt.codes for prompt in prompts], shares=options.prompt_shares, num_frames=frames)
    lead = synthesizer.encode_silence(options.prefix_silence) if options.prefix_silence else None
    return dataclasses.replace(prompts[0], codes=codes, lead=lead)


def _encode_prompt(synthesizer: Synthesizer, path: Path, text: str, language: str) -> Prompt:
    from valle.synthesis.prompts import LONGEST_SECONDS, read_prompt

    audio = read_prompt(path, synthesizer.codec.spec.sample_rate)
    if audio.duration >= LONGEST_SECONDS:
        if text:
            raise ConfigurationError(
                f"{path} is longer than {LONGEST_SECONDS:g} s, so that --prompt-text does not fit what is used of it; "
                "give a shorter prompt."
            )
        sys.stderr.write(f"valle: the first {LONGEST_SECONDS:g} s of {path} are the prompt.\n")
    return synthesizer.encode_prompt(audio, text, language)


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
