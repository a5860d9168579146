"""The text of a recording that a task speaks again: given, transcribed, or none.

A small model loses the words of a recording without its text, so that a recording without one is transcribed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from rapidfuzz.distance import Levenshtein

from valle.audio import Samples, resample
from valle.backends.alignment import letters_of, words_of
from valle.backends.asr import SAMPLE_RATE
from valle.backends.transcription import LOOP_RATIO
from valle.phonemes import LANGUAGES
from valle.text.language import AUTO, resolve_language
from warehouse.errors import ConfigurationError, DependencyError

if TYPE_CHECKING:
    from valle.backends.registry import Backends
    from valle.backends.transcription import Transcriber, Transcription

ENGLISH_ASR, OTHER_ASR = "tiny.en", "base"
"""ASR models of recordings in English and in other languages."""
# Above the one and below the other Whisper itself takes a clip for silence.
_SILENT_PROBABILITY, _SILENT_LOGPROB = 0.6, -1.0
_WITHOUT_SPACES = ("ja", "zh")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextOptions:
    """Origin of the text of a recording: `text`, else an ASR model where `transcribe` is set, else none.

    `language` may be `auto`: that of the text, else the one that the ASR model detects. `asr` None chooses the ASR
    model by the language.
    """

    text: str = ""
    language: str = "en"
    transcribe: bool = True
    asr: str | None = None


DEFAULT_TEXT = TextOptions()


@dataclass(frozen=True, slots=True)
class RecordedText:
    """Text of each piece of a recording, "" where there is none, with its language."""

    pieces: tuple[str, ...]
    language: str
    is_transcribed: bool = False
    is_detected: bool = False
    """True where the language was not given."""

    @property
    def text(self) -> str:
        """The whole text."""
        return " ".join(piece for piece in self.pieces if piece)

    @property
    def note(self) -> str:
        """A sentence on the text that was not given, with its language if that was not given; "" for neither."""
        language = f" in {self.language!r}" if self.is_detected else ""
        if not self.text:
            return f"The recording{language} is used without words."
        if self.is_transcribed:
            return f"The recording was transcribed{language} as {self.text!r}."
        return f"The language of the recording is {self.language!r}." if self.is_detected else ""


def open_asr(backends: Backends, name: str | None, language: str) -> Transcriber:
    """Return an ASR model for recordings in a language, or `auto`; without a name the smallest that is embedded.

    Raises DependencyError for a model that cannot be had, and ConfigurationError for one of another language.
    """
    chosen = name or (ENGLISH_ASR if language == "en" else OTHER_ASR)
    transcriber = backends.transcriber(chosen)
    if language != "en" and not transcriber.is_multilingual:
        raise ConfigurationError(
            f"The ASR model {chosen} transcribes English only; set --asr {OTHER_ASR} or another, or --language en."
        )
    return transcriber


def read_text(
    backends: Backends, pieces: Sequence[Samples], sample_rate: int, source: TextOptions, familiar: Sequence[str] = ()
) -> RecordedText:
    """Return the text of a recording in pieces; a given text is shared out among several by their transcriptions.

    Raises DependencyError where an ASR model is needed and cannot be had, and ConfigurationError for one of another
    language.
    """
    text, is_auto = " ".join(source.text.split()), source.language == AUTO
    language = resolve_language(source.language, text, familiar).language if text else source.language
    if text and len(pieces) == 1:
        return RecordedText((text,), language, is_detected=is_auto)
    if not source.transcribe and (text or not is_auto):
        # Which words belong to which piece is unknown then, and a wrong text is worse than none.
        return RecordedText(("",) * len(pieces), language, is_detected=is_auto)
    found = _transcribe(backends, pieces, sample_rate, source.asr, language)
    language = _language_of(found, pieces) if language == AUTO else language
    spoken = tuple("" if _is_silence(one) else one.text for one in found)
    if text:
        return RecordedText(share_out(text, spoken, language), language, is_detected=is_auto)
    texts = spoken if source.transcribe else ("",) * len(pieces)
    return RecordedText(texts, language, is_transcribed=source.transcribe, is_detected=is_auto)


def _transcribe(
    backends: Backends, pieces: Sequence[Samples], sample_rate: int, asr: str | None, language: str
) -> list[Transcription]:
    try:
        transcriber = open_asr(backends, asr, language)
    except DependencyError as error:
        raise DependencyError(
            f"The recording cannot be transcribed: {error} Or give its text (--text), or leave its words out "
            "(--no-transcribe)."
        ) from error
    waves = [resample(piece, sample_rate, SAMPLE_RATE) for piece in pieces]
    # The text is read by a phonemizer, which cannot know how a number was spoken.
    return transcriber.transcribe(waves, None if language == AUTO else language, numbers_in_words=True)


def _is_silence(found: Transcription) -> bool:
    """Return whether the ASR model takes a piece for silence, or repeats itself: its words are invented then."""
    is_silent = found.no_speech_probability > _SILENT_PROBABILITY and found.average_logprob < _SILENT_LOGPROB
    return is_silent or found.compression_ratio > LOOP_RATIO


def _language_of(found: Sequence[Transcription], pieces: Sequence[Samples]) -> str:
    """Return the language of most of the recording. Raises ConfigurationError for one without a phonemizer."""
    lengths: Counter[str] = Counter()
    for one, piece in zip(found, pieces, strict=True):
        lengths[one.language] += len(piece)
    (language, _), *_ = lengths.most_common()
    if language not in LANGUAGES:
        raise ConfigurationError(
            f"The language of the recording seems to be {language!r}, which has no phonemizer; set --language to one "
            f"of {', '.join(LANGUAGES)}."
        )
    return language


def share_out(text: str, transcribed: Sequence[str], language: str = "en") -> tuple[str, ...]:
    """Divide a text among pieces of a recording where the words of their transcriptions are nearest to it."""
    is_spaced = language not in _WITHOUT_SPACES
    split = words_of if is_spaced else list
    words, found = split(text), [split(piece) for piece in transcribed]
    blocks = Levenshtein.opcodes(
        [letters_of(word) for word in words], [letters_of(word) for piece in found for word in piece]
    )
    borders, end = [0], 0
    for piece in found[:-1]:
        end += len(piece)
        # Words that the ASR model missed stay with those before them.
        passed = [block.src_end - max(0, block.dest_end - end) for block in blocks if block.dest_start <= end]
        borders.append(max([borders[-1], *passed]))
    joint = " " if is_spaced else ""
    return tuple(joint.join(words[a:b]).strip() for a, b in pairwise([*borders, len(words)]))
