"""Synthesize a long text sentence by sentence; each continues the last few, so that voice and melody do not restart."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from valle.audio import Audio, Samples
from valle.phonemes import SPACE
from valle.synthesis.best_of import Candidates, speak_best_of
from valle.synthesis.decoding.seeds import sentence_seed
from valle.synthesis.options import (
    DEFAULT_BEST_OF,
    DEFAULT_LONG_FORM,
    DEFAULT_SAMPLING,
    BestOfOptions,
    LongFormOptions,
    SamplingOptions,
)
from valle.synthesis.streaming.tempo import Pace
from valle.synthesis.synthesizer import Prompt, Request, Speech, Synthesizer
from valle.synthesis.texts.marked_text import Sentence, read_sentences
from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from valle.codec.base import Codec, Codes

_VOICE_SECONDS = 6.0
# Earlier speech that is decoded again before a sentence, so that the decoder has a history where it starts.
_OVERLAP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Piece:
    """One sentence: text, phonemes, codes [K, T], the seed that was used, and all candidates of best-of-n.

    `problem` tells what went wrong, None for nothing. A piece without a frame is missing from the speech.
    """

    text: str
    symbols: tuple[str, ...]
    codes: Codes
    seed: int
    candidates: Candidates | None = None
    problem: str | None = None

    @property
    def is_spoken(self) -> bool:
        """True if it has any frame."""
        return self.codes.shape[1] > 0


@dataclass(frozen=True, slots=True)
class Passage:
    """A finished piece with the codes [K, T] and samples [N] that it adds to the speech, its pause included."""

    piece: Piece
    codes: Codes
    samples: Samples
    num_done: int
    num_pieces: int


@dataclass(frozen=True, slots=True)
class LongSpeech:
    """Speech of a whole text, which is complete when no piece has a problem, and its pieces."""

    speech: Speech
    pieces: tuple[Piece, ...]


def speak_long(
    synthesizer: Synthesizer,
    text: str,
    prompt: Prompt | None = None,
    *,
    language: str = "en",
    sampling: SamplingOptions = DEFAULT_SAMPLING,
    options: LongFormOptions = DEFAULT_LONG_FORM,
    best_of: BestOfOptions = DEFAULT_BEST_OF,
) -> LongSpeech:
    """Synthesize a text of any length in one voice and keep all of it in memory. See `iterate_passages`."""
    started = time.monotonic()
    passages = list(
        iterate_passages(
            synthesizer, text, prompt, language=language, sampling=sampling, options=options, best_of=best_of
        )
    )
    pieces = tuple(passage.piece for passage in passages)
    speech = Speech(
        codes=np.concatenate([passage.codes for passage in passages], axis=1),
        audio=Audio(np.concatenate([passage.samples for passage in passages]), synthesizer.codec.spec.sample_rate),
        is_complete=all(piece.problem is None for piece in pieces),
        seconds=time.monotonic() - started,
    )
    return LongSpeech(speech, pieces)


def iterate_passages(
    synthesizer: Synthesizer,
    text: str,
    prompt: Prompt | None = None,
    *,
    language: str = "en",
    sampling: SamplingOptions = DEFAULT_SAMPLING,
    options: LongFormOptions = DEFAULT_LONG_FORM,
    best_of: BestOfOptions = DEFAULT_BEST_OF,
    speech_language: str | None = None,
) -> Iterator[Passage]:
    """Synthesize a text of any length in one voice, one sentence per iteration, in bounded memory.

    Each sentence has its own seed, derived from the seed of `sampling`; a text of one sentence equals
    `Synthesizer.speak_text`. Without a prompt the first sentence without a problem is the prompt of the others. With
    `continues_prompt` the prompt is the first of the earlier sentences. With `speech_language` the text is read in
    `language` and spoken with the accent of the other. Raises ConfigurationError for a text without
    anything to speak, for a given duration of several sentences, and as `speak_best_of` does.
    """
    sentences = prepare_text(synthesizer, text, language=language, sampling=sampling, options=options)
    narrator = Narrator(synthesizer, prompt, speech_language or language, sampling, options)
    return _iterate(narrator, sentences, best_of)


def prepare_text(
    synthesizer: Synthesizer, text: str, *, language: str, sampling: SamplingOptions, options: LongFormOptions
) -> list[Sentence]:
    """Return the sentences of a text with their phonemes. Raises ConfigurationError as `iterate_passages`.

    All sentences are prepared before the first synthesis: a text that cannot be spoken is refused at once, not after
    an hour.
    """
    sentences = read_sentences(synthesizer, text, language=language, options=options)
    _check(sentences, sampling)
    return sentences


def _check(sentences: Sequence[Sentence], sampling: SamplingOptions) -> None:
    if not any(sentence.symbols for sentence in sentences):
        first = next((sentence for sentence in sentences if sentence.problem), None)
        reason = "the text has no phonemes" if first is None else f"{first.text[:40]!r}: {first.problem}"
        raise ConfigurationError(f"There is nothing to speak ({reason}); give a text in --language.")
    if sampling.seconds is not None and len(sentences) > 1:
        raise ConfigurationError(
            f"The duration of {sampling.seconds:g} s is for one utterance and the text has {len(sentences)}; leave "
            "sampling.seconds out, or set long_form.split to none."
        )


def rolling_context(history: Sequence[Prompt], max_frames: int) -> Prompt | None:
    """Join the last whole sentences that fit into `max_frames` to one text and one run of codes; None for none."""
    first, frames = len(history), 0
    while first and frames + history[first - 1].codes.shape[1] <= max_frames:
        first -= 1
        frames += history[first].codes.shape[1]
    if first == len(history):
        return None
    symbols = list(history[first].symbols)
    for sentence in history[first + 1 :]:
        symbols += [SPACE, *sentence.symbols]
    return Prompt(np.concatenate([sentence.codes for sentence in history[first:]], axis=1), tuple(symbols))


@dataclass(slots=True)
class Narrator:
    """State of a long text between its sentences: the voice, and the speech that the next sentence continues.

    Its sentences are spoken with the adapters of its synthesizer, also by the batch of another one on the same model.
    """

    synthesizer: Synthesizer
    prompt: Prompt | None
    language: str
    sampling: SamplingOptions
    options: LongFormOptions
    history: list[Prompt] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.prompt is not None and self.sampling.continues_prompt:
            self.history.append(self.prompt)

    def request(self, sentence: Sentence, index: int) -> Request:
        """Return the request of the `index`-th sentence of the text."""
        sampling = self.sampling.model_copy(update={"seed": self.seed(index)})
        context = None
        if index:
            # The prompt is in the history already, and as a prefix it would be there twice.
            sampling = sampling.model_copy(update={"continues_prompt": False})
            context = rolling_context(self.history, self.frames(self.options.context_seconds))
        adapters = self.synthesizer.adapters
        return Request(sentence.symbols, self.prompt, self.language, sampling, context, adapters)

    def finish(self, piece: Piece) -> None:
        """Let the next sentence continue a piece."""
        # Codes of a sentence with a problem do not match its text, and the next one would continue the mismatch.
        if piece.problem is not None:
            return
        self.history.append(Prompt(piece.codes, piece.symbols))
        longest = self.frames(self.options.context_seconds)
        while len(self.history) > 1 and sum(prompt.codes.shape[1] for prompt in self.history[1:]) >= longest:
            del self.history[0]  # never part of a context again
        # Without a prompt each sentence would draw a speaker of its own.
        if self.prompt is None:
            self.prompt = Prompt(piece.codes[:, : self.frames(_VOICE_SECONDS)])

    def seed(self, index: int) -> int:
        """Return the seed of the `index`-th sentence."""
        return sentence_seed(self.sampling.seed, index)

    def pause(self, sentence: Sentence, *, is_first: bool) -> Codes:
        """Return the codes [K, T] of the silence before a sentence; before the first only where the text has a mark."""
        usual = 0.0 if is_first else self.options.pause_seconds
        frames = self.frames(usual if sentence.pause is None else sentence.pause)
        (silence,) = self.synthesizer.codec.encode(
            [np.zeros(frames * self.synthesizer.codec.spec.hop_length, dtype=np.float32)]
        )
        return silence

    def frames(self, seconds: float) -> int:
        """Return the frames of a duration."""
        return round(seconds * self.synthesizer.codec.spec.frame_rate)


def _iterate(narrator: Narrator, sentences: Sequence[Sentence], best_of: BestOfOptions) -> Iterator[Passage]:
    overlap: Codes | None = None  # last codes of the speech so far, None before its first sentence
    for index, sentence in enumerate(sentences):
        request = narrator.request(sentence, index)
        piece = _speak_piece(narrator.synthesizer, request, sentence, best_of)
        narrator.finish(piece)
        if not piece.is_spoken:
            yield Passage(piece, piece.codes, np.zeros(0, dtype=np.float32), index + 1, len(sentences))
            continue
        codes = np.concatenate([narrator.pause(sentence, is_first=overlap is None), piece.codes], axis=1)
        pace = Pace(narrator.synthesizer.codec.spec.sample_rate)
        samples = pace.whole(_decode_after(narrator.synthesizer.codec, overlap, codes), sentence.rate)
        so_far = codes if overlap is None else np.concatenate([overlap, codes], axis=1)
        overlap = so_far[:, -narrator.frames(_OVERLAP_SECONDS) :]
        yield Passage(piece, codes, samples, index + 1, len(sentences))


def _decode_after(codec: Codec, overlap: Codes | None, codes: Codes) -> Samples:
    """Decode codes [K, T]; the codec decodes the end of the earlier speech once more in front of them.

    A decoder without its history would start each sentence with a click.
    """
    if overlap is None:
        return codec.decode([codes])[0]
    (samples,) = codec.decode([np.concatenate([overlap, codes], axis=1)])
    return samples[overlap.shape[1] * codec.spec.hop_length :]


def _speak_piece(synthesizer: Synthesizer, request: Request, sentence: Sentence, best_of: BestOfOptions) -> Piece:
    candidates = None
    seed = request.options.seed
    if not sentence.symbols:
        empty = np.zeros((synthesizer.codec.spec.num_codebooks, 0), dtype=np.int16)
        return Piece(sentence.text, (), empty, seed, problem=sentence.problem)
    if best_of.count == 1:
        [speech] = synthesizer.speak_many([request])
    else:
        candidates = speak_best_of(synthesizer, request, sentence.text, options=best_of)
        speech, seed = candidates.best.speech, candidates.best.seed
    problem = find_problem(speech.codes, speech.duration, is_complete=speech.is_complete)
    return Piece(sentence.text, request.symbols, speech.codes, seed, candidates, problem)


def find_problem(codes: Codes, seconds: float, *, is_complete: bool) -> str | None:
    """Return what went wrong with the speech of a sentence, None for nothing."""
    if not codes.shape[1]:
        return "the model ended it before the first frame"
    return None if is_complete else f"it was cut after {seconds:.1f} s"
