"""A long text, sentence by sentence: each goes on from the last few, so that voice and melody do not start anew."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from valle.audio import Audio, Samples
from valle.codec.base import Codec, Codes
from valle.phonemes import SPACE
from valle.synthesis.best_of import Takes, speak_best
from valle.synthesis.decoding.seeds import sentence_seed
from valle.synthesis.options import DEFAULT_BEST_OF, BestOfOptions, SamplingOptions
from valle.synthesis.sentences import has_word, split_lines, split_sentences
from valle.synthesis.synthesizer import DEFAULT, Prompt, Request, Speech, Synthesizer
from warehouse.errors import ConfigurationError

_VOICE_SECONDS = 6.0
_DECODED_SECONDS = 30.0
"""Speech that the codec plays at a time, so that its memory does not grow with the text."""


class LongFormOptions(BaseModel):
    """How a text is taken apart and its parts are joined."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: Literal["sentences", "lines", "none"] = Field(
        default="sentences", description="What is spoken at a time: a sentence, a line, or the whole text."
    )
    max_characters: int = Field(
        default=200,
        ge=20,
        description="Sentences and lines that are longer are cut; a Chinese, Japanese or Korean character counts as 3.",
    )
    context_seconds: float = Field(
        default=6.0, ge=0, description="Longest run of earlier sentences that the next one goes on from; 0 is none."
    )
    pause_seconds: float = Field(default=0.0, ge=0, description="Silence between what is spoken at a time.")


DEFAULT_LONG_FORM = LongFormOptions()


@dataclass(frozen=True, slots=True)
class Piece:
    """One sentence: its text, phonemes and codes [K, T], the seed of the take that was chosen, and all takes.

    `problem` says what went wrong, None for nothing. A piece without a frame is missing from the speech.
    """

    text: str
    symbols: tuple[str, ...]
    codes: Codes
    seed: int
    takes: Takes | None = None
    problem: str | None = None

    @property
    def is_spoken(self) -> bool:
        """Whether anything was said."""
        return self.codes.shape[1] > 0


@dataclass(frozen=True, slots=True)
class LongSpeech:
    """The speech of a whole text, which is complete when no piece has a problem, and what it was made of."""

    speech: Speech
    pieces: tuple[Piece, ...]


def speak_long(
    synthesizer: Synthesizer,
    text: str,
    prompt: Prompt | None = None,
    *,
    language: str = "en",
    sampling: SamplingOptions = DEFAULT,
    options: LongFormOptions = DEFAULT_LONG_FORM,
    best_of: BestOfOptions = DEFAULT_BEST_OF,
) -> LongSpeech:
    """Speak a text of any length in one voice.

    Each sentence has a seed of its own, which follows from the seed of `sampling`; a text of one sentence is what
    `Synthesizer.speak_text` gives. Without a prompt the first sentence that comes out well is the prompt of the rest.
    With `continues_prompt` the prompt is the first of the earlier sentences. Raises ConfigurationError for a text
    without anything to say, for a given length of several sentences, and as `speak_best` does.
    """
    started = time.monotonic()
    texts = split_text(text, language, options)
    spoken = [(one, synthesizer.symbols(one, language)) for one in texts]
    if not any(symbols for _, symbols in spoken):
        raise ConfigurationError("There is nothing to say: the text has no phonemes.")
    if sampling.seconds is not None and len(texts) > 1:
        raise ConfigurationError(
            f"The length of {sampling.seconds:g} s is for one utterance and the text has {len(texts)}; leave "
            "sampling.seconds out, or set long_form.split to none."
        )
    longest = round(options.context_seconds * synthesizer.codec.spec.frame_rate)
    history = [prompt] if prompt is not None and sampling.continues_prompt else []
    pieces: list[Piece] = []
    for index, (sentence, symbols) in enumerate(spoken):
        own = sampling.model_copy(update={"seed": sentence_seed(sampling.seed, index)})
        context = None
        if pieces:
            own = own.model_copy(update={"continues_prompt": False})
            context = rolling_context(history, longest)
        request = Request(symbols, prompt, language, own, context)
        piece = _speak_piece(synthesizer, request, sentence, best_of)
        pieces.append(piece)
        if piece.problem is None:
            history.append(Prompt(piece.codes, symbols))
            if prompt is None:
                prompt = Prompt(piece.codes[:, : int(_VOICE_SECONDS * synthesizer.codec.spec.frame_rate)])
    codes, samples = _joined(synthesizer.codec, pieces, options.pause_seconds)
    speech = Speech(
        codes=codes,
        audio=Audio(samples, synthesizer.codec.spec.sample_rate),
        is_complete=all(piece.problem is None for piece in pieces),
        seconds=time.monotonic() - started,
    )
    return LongSpeech(speech, tuple(pieces))


def split_text(text: str, language: str, options: LongFormOptions) -> list[str]:
    """What is spoken at a time, in order; what holds no letter or digit, such as a row of stars, is not."""
    match options.split:
        case "sentences":
            pieces = split_sentences(text, language, max_characters=options.max_characters)
        case "lines":
            pieces = split_lines(text, max_characters=options.max_characters)
        case "none":
            pieces = [text.strip()]
    return [piece for piece in pieces if has_word(piece)]


def rolling_context(history: Sequence[Prompt], max_frames: int) -> Prompt | None:
    """The last of the earlier sentences as one text and one run of codes, as many whole ones as fit; None for none."""
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


def _speak_piece(synthesizer: Synthesizer, request: Request, text: str, best_of: BestOfOptions) -> Piece:
    nothing = np.zeros((synthesizer.codec.spec.num_codebooks, 0), dtype=np.int16)
    if not request.symbols:
        return Piece(text, (), nothing, request.options.seed, problem="it has no phonemes")
    takes = speak_best(synthesizer, request, text, options=best_of)
    speech = takes.best.speech
    problem = None
    if not speech.codes.shape[1]:
        problem = "the model ended before it said anything"
    elif not speech.is_complete:
        problem = f"it was cut after {speech.duration:.1f} s"
    return Piece(text, request.symbols, speech.codes, takes.best.seed, takes, problem)


def _joined(codec: Codec, pieces: Sequence[Piece], pause_seconds: float) -> tuple[Codes, Samples]:
    """Codes of all pieces with silence between, and their audio.

    The codec plays several pieces in one go, so that there is no seam within speech; a pause is the codes of silence.
    """
    blocks = [piece.codes for piece in pieces if piece.is_spoken]
    if not blocks:
        return np.zeros((codec.spec.num_codebooks, 0), dtype=np.int16), np.zeros(0, dtype=np.float32)
    if pause := round(pause_seconds * codec.spec.frame_rate):
        (silence,) = codec.encode([np.zeros(pause * codec.spec.hop_length, dtype=np.float32)])
        blocks = [blocks[0], *(np.concatenate([silence, block], axis=1) for block in blocks[1:])]
    runs: list[Codes] = []
    for block in blocks:
        whole = np.concatenate([runs[-1], block], axis=1) if runs else block
        if runs and whole.shape[1] <= _DECODED_SECONDS * codec.spec.frame_rate:
            runs[-1] = whole
        else:
            runs.append(block)
    return np.concatenate(runs, axis=1), np.concatenate([codec.decode([run])[0] for run in runs])
