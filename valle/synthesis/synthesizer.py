"""Synthesize speech with a checkpoint: phonemes and a prompt in, codes and audio out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from valle.audio import Audio, Samples, resample
from valle.checkpoints.adapters import read_adapter
from valle.checkpoints.checkpoint import CheckpointCard, load_model
from valle.checkpoints.guesses import attach_heads
from valle.model.attention import AttentionKernel
from valle.model.trunks.cpu.int8 import use_int8
from valle.model.trunks.offload import place
from valle.phonemes import SPACE
from valle.process import torch_device
from valle.synthesis.decoding.conditions import Condition
from valle.synthesis.decoding.decode import decode
from valle.synthesis.decoding.tokens import transcribe_codes
from valle.synthesis.options import DEFAULT_SAMPLING, Precision, Runtime, SamplingOptions
from valle.tasks.continuation import CONTINUATION
from valle.tasks.tts import TTS
from valle.text.language import resolve_language
from valle.text.lexicon import NO_LEXICON, Lexicon
from warehouse.errors import CheckpointError, ConfigurationError

if TYPE_CHECKING:
    from valle.backends.registry import Backends
    from valle.codec.base import Codec, Codes
    from valle.model.names import KernelName
    from valle.model.valle import ValleModel
    from valle.phonemes.pieces import AnyTable

_TYPES: Mapping[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "int8": torch.float32,  # of all that is not rounded
}


@dataclass(frozen=True, slots=True)
class Prompt:
    """Speech that defines the speaker: its codes [K, P], and its phonemes when the synthesis continues it.

    `lead` are frames without speech that every utterance begins with, [K, n]: a silence.
    """

    codes: Codes
    symbols: tuple[str, ...] = ()
    lead: Codes | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One utterance to speak. `context` is the speech just before, with its phonemes, which the utterance continues.

    `adapters` are those to use with their strengths, by name; None uses all of the synthesizer.
    """

    symbols: tuple[str, ...]
    prompt: Prompt | None = None
    language: str = "en"
    options: SamplingOptions = DEFAULT_SAMPLING
    context: Prompt | None = None
    adapters: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class ModelPlacement:
    """Number type and place of the weights, at most `gigabytes` of them on the device, and the kernel of attention.

    `runtime` is the program that computes the trunk; llama.cpp is for the CPU and has its own kernels.
    """

    precision: Precision = "fp32"
    gigabytes: float | None = None
    attention: KernelName = "sdpa"
    runtime: Runtime = "torch"


@dataclass(frozen=True, slots=True)
class Speech:
    """Synthesized speech. `is_complete` is False when the longest duration cut it.

    `seconds` is the wall time from phonemes to audio. Utterances of one batch share its time in proportion to their
    audio, so that the sum is the time that passed and all have the same real-time factor.
    """

    codes: Codes  # [K, T]
    audio: Audio
    is_complete: bool
    seconds: float

    @property
    def duration(self) -> float:
        """Seconds of audio."""
        return len(self.audio.samples) / self.audio.sample_rate


@dataclass(frozen=True)
class Synthesizer:
    """A loaded checkpoint with its codec and phonemizer."""

    model: ValleModel
    card: CheckpointCard
    codec: Codec
    backends: Backends
    adapters: Mapping[str, float] = field(default_factory=dict)
    """Adapters by name, with the strengths of requests that name none."""
    lexicon: Lexicon = NO_LEXICON
    """Pronunciations of words in marked-up text."""

    @cached_property
    def _table(self) -> AnyTable:
        return self.card.phoneme_table

    @classmethod
    def load(
        cls,
        checkpoint: Path,
        backends: Backends,
        adapters: Sequence[tuple[Path, float]] = (),
        options: ModelPlacement = ModelPlacement(),
    ) -> Synthesizer:
        """Open a checkpoint, with adapters and their strengths, and on a GPU with its heads that guess frames.

        An adapter is named after the run that trained it. Raises CheckpointError when there is no checkpoint, when
        another revision of its codec is installed and for an adapter of another checkpoint, and ConfigurationError for
        an unknown device and for too little memory on it.
        """
        device = torch_device(backends.device)
        files, strengths = _name_adapters(adapters)
        if options.runtime == "torch":
            model, card = load_model(checkpoint, files)
            if device.type == "cpu":
                # As speech is sampled, a pass of several frames costs more than the lean steps of one that it replaces.
                model.lookahead = None
            else:
                attach_heads(model, checkpoint)
        else:
            model, card = _load_llama_cpp(checkpoint, files, backends.device, options)
        codec = backends.codec(card.codec.name)
        # Codes of another revision decode to other sounds without any error.
        if codec.spec != card.codec:
            raise CheckpointError(
                f"{checkpoint} was trained on codes of {card.codec.label}, but "
                f"{codec.spec.label} is installed; quantize and train again, or install the other."
            )
        model.to(dtype=_TYPES[options.precision])
        place(model, device, None if options.gigabytes is None else int(options.gigabytes * 1e9))
        if options.precision == "int8":
            use_int8(model)
        model.trunk.kernel = AttentionKernel(options.attention)
        return cls(model, card, codec, backends, {**model.adapters.strengths, **strengths})

    def speak(
        self,
        symbols: Sequence[str],
        prompt: Prompt | None = None,
        *,
        language: str = "en",
        options: SamplingOptions = DEFAULT_SAMPLING,
    ) -> Speech:
        """Speak phonemes in the voice of a prompt. Errors as `speak_many`."""
        return self.speak_many([Request(tuple(symbols), prompt, language, options)])[0]

    def speak_many(self, requests: Sequence[Request]) -> list[Speech]:
        """Speak several utterances in one batch, results in the order of the requests.

        The speech of a request does not depend on the others. Raises ConfigurationError for a request without phonemes,
        for a prompt with too few codebooks, and for a continuation whose prompt or context has no phonemes.
        """
        if not requests:
            return []
        started = time.monotonic()
        conditions = [self.condition(request) for request in requests]
        decoded = decode(self.model, conditions, [request.options for request in requests])
        # One call for all: the codec decodes a batch faster than its clips one by one.
        waveforms = self._waveforms([utterance.codes for utterance in decoded])
        rate = self.codec.spec.sample_rate
        times = _split_by_length(time.monotonic() - started, [len(samples) for samples in waveforms])
        return [
            Speech(utterance.codes, Audio(samples, rate), utterance.is_complete, seconds)
            for utterance, samples, seconds in zip(decoded, waveforms, times, strict=True)
        ]

    def phonemize(self, text: str, language: str = "en") -> tuple[str, ...]:
        """Return the phonemes of a text."""
        return tuple(self.backends.phonemizer(self.card.phonemizer).phonemize([text], language)[0])

    def language_of(self, text: str, language: str) -> str:
        """Return a language as it is, or for `auto` that of a text; a guess prefers those of the training set."""
        return resolve_language(language, text, self.card.model.languages).language

    def encode_prompt(self, audio: Audio, text: str = "", language: str = "en") -> Prompt:
        """Encode recorded speech as a prompt, with the phonemes of its transcript when `text` is given."""
        samples = resample(audio.samples, audio.sample_rate, self.codec.spec.sample_rate)
        symbols = self.phonemize(text, self.language_of(text, language)) if text else ()
        return Prompt(self.codec.encode([samples])[0], symbols)

    def encode_silence(self, seconds: float) -> Codes:
        """Encode silence, as the `lead` of a prompt."""
        count = round(seconds * self.codec.spec.sample_rate)
        return self.codec.encode([np.zeros(count, dtype=np.float32)])[0]

    def speak_text(
        self,
        text: str,
        prompt: Prompt | None = None,
        *,
        language: str = "en",
        options: SamplingOptions = DEFAULT_SAMPLING,
    ) -> Speech:
        """Speak a text. Errors as `speak_many`."""
        return self.speak(self.phonemize(text, language), prompt, language=language, options=options)

    def transcribe(self, codes: Sequence[Codes], language: str = "en") -> list[tuple[str, ...]]:
        """Transcribe speech, codes [K, T] each, to phonemes with the model itself.

        Raises ConfigurationError for codes with too few codebooks or without a frame.
        """
        speech = [self._checked(block) for block in codes]
        if any(not block.shape[1] for block in speech):
            raise ConfigurationError("There is nothing to transcribe: the codes have no frame.")
        if not speech:
            return []
        numbers = transcribe_codes(self.model, speech, [self.card.model.language_id(language)] * len(speech))
        return [tuple(self._table.decode(row)) for row in numbers]

    def condition(self, request: Request) -> Condition:
        """Return the input of the decoding of a request. Errors as `speak_many`."""
        if not request.symbols:
            raise ConfigurationError("There is nothing to say: the text has no phonemes.")
        prompt = request.prompt
        continued = [_with_text(prompt)] if request.options.continues_prompt else []
        context = [_with_text(request.context)] if request.context is not None else []
        # One text and one run of frames without an end inside, as in training.
        symbols = [symbol for earlier in (*continued, *context) for symbol in (*earlier.symbols, SPACE)]
        is_task = bool(continued) and request.options.continuation == "task"
        given = context if is_task else [*continued, *context]
        empty = np.zeros((self.card.model.num_codebooks, 0), dtype=np.int16)
        lead = empty if prompt is None or prompt.lead is None else self._checked(prompt.lead)
        return Condition(
            symbol_ids=np.array(self._table.encode((*symbols, *request.symbols))),
            language_id=self.card.model.language_id(request.language),
            prompt=None if prompt is None else self._checked(prompt.codes),
            prefix=np.concatenate([lead, *(self._checked(earlier.codes) for earlier in given)], axis=1),
            num_silent=lead.shape[1],
            task=CONTINUATION if is_task else TTS,
            adapters=tuple(sorted((self.adapters if request.adapters is None else request.adapters).items())),
        )

    def _checked(self, codes: Codes) -> Codes:
        num_codebooks = self.card.model.num_codebooks
        if len(codes) != num_codebooks:
            raise ConfigurationError(
                f"The prompt has {len(codes)} codebooks, the model {num_codebooks}; encode it with "
                f"{self.card.codec.name}."
            )
        return codes

    def _waveforms(self, codes: Sequence[Codes]) -> list[Samples]:
        """Decode each block; codes without a frame give no samples."""
        # Codecs do not accept a clip without a frame.
        spoken = [block for block in codes if block.shape[1]]
        decoded = iter(self.codec.decode(spoken) if spoken else [])
        return [next(decoded) if block.shape[1] else np.zeros(0, dtype=np.float32) for block in codes]


def _load_llama_cpp(
    checkpoint: Path, adapters: Mapping[str, Path], device: str, options: ModelPlacement
) -> tuple[ValleModel, CheckpointCard]:
    """Load a checkpoint with its trunk in llama.cpp. Raises ConfigurationError for what llama.cpp lacks."""
    from valle.llama_cpp.loading import load_llama_cpp

    if adapters:
        raise ConfigurationError("Adapters need the runtime torch; leave out --lora, or --runtime.")
    if device != "cpu" or options.precision in ("bf16", "int8"):
        raise ConfigurationError(
            "The runtime llama.cpp is for the CPU, in fp32 or fp16; set --device and --precision. Weights in 8 bits "
            "are those of a file by `valle export --format gguf --weights q8_0`."
        )
    return load_llama_cpp(checkpoint, "f32" if options.precision == "fp32" else "f16")


def _name_adapters(adapters: Sequence[tuple[Path, float]]) -> tuple[dict[str, Path], dict[str, float]]:
    """Return files and strengths of adapters by name. Raises ConfigurationError for two of one run."""
    files: dict[str, Path] = {}
    strengths: dict[str, float] = {}
    for path, strength in adapters:
        name = read_adapter(path)[0].run_id.replace(".", "-")
        if name in files:
            raise ConfigurationError(f"Two adapters are of the run {name}; give one of them.")
        files[name], strengths[name] = path, strength
    return files, strengths


def _with_text(before: Prompt | None) -> Prompt:
    if before is None or not before.symbols:
        raise ConfigurationError("To continue a prompt, give its codes and its text.")
    return before


def _split_by_length(seconds: float, lengths: Sequence[int]) -> list[float]:
    """Split `seconds` in proportion to `lengths`, equally when all are 0."""
    total = sum(lengths)
    return [seconds * length / total if total else seconds / len(lengths) for length in lengths]
