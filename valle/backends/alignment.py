"""Locate the words of a known text in speech: Whisper's cross-attention, then the energy of the signal.

Whisper aligns each token with steps of 20 ms by dynamic time warping over the attention of a few heads (Radford et al.
2022; CTranslate2 implements it), too late or too early by an amount that each model has, which is measured and taken
off. Its words touch each other, so the pauses belong to them. The edges of a word are therefore moved inwards to where
the signal leaves the silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from valle.audio import Samples


_HOP_SECONDS = 0.01
_SILENCE_BELOW_SPEECH = 35.0  # decibels; consonants are up to 30 dB below vowels
_SHORTEST_WORD = 0.04


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word with its punctuation, seconds from the start of the clip, and the mean probability of its tokens."""

    word: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True, slots=True)
class TimedPiece:
    """A part of a text between token boundaries: its characters, seconds, mean probability and number of tokens."""

    text: str
    start: float
    end: float
    confidence: float
    num_tokens: int


def words_of(text: str) -> list[str]:
    """Split a text at white space; words without a letter or digit belong to the word before them."""
    words: list[str] = []
    for word in text.split():
        if words and not any(character.isalnum() for character in word):
            words[-1] += f" {word}"
        else:
            words.append(word)
    return words


def letters_of(word: str) -> str:
    """Return the letters and digits of a word without regard to case, for comparison."""
    return "".join(character for character in word.casefold() if character.isalnum())


def group_pieces(text: str, pieces: Sequence[TimedPiece]) -> list[TimedWord]:
    """Join pieces to the words of `text`: one timed word for each of `words_of(text)`.

    Empty when the pieces do not spell the text. Punctuation lends a word no time: Whisper gives it the pause.
    """
    words = words_of(text)
    ends = np.cumsum([len(_letters(word)) for word in words])
    grouped: list[list[TimedPiece]] = [[] for _ in words]
    position = 0
    for piece in pieces:
        letters = len(_letters(piece.text))
        if any(character.isalnum() for character in piece.text) and position < (ends[-1] if words else 0):
            grouped[int(np.searchsorted(ends, position, side="right"))].append(piece)
        position += letters
    if position != (ends[-1] if words else 0) or not all(grouped):
        return []
    return [_joined(word, group) for word, group in zip(words, grouped, strict=True)]


def _letters(text: str) -> str:
    return "".join(text.split())


def _joined(word: str, pieces: Sequence[TimedPiece]) -> TimedWord:
    counts = [piece.num_tokens for piece in pieces]
    confidence = float(np.average([piece.confidence for piece in pieces], weights=counts))
    return TimedWord(word, pieces[0].start, pieces[-1].end, confidence)


def trim_silence(words: Sequence[TimedWord], samples: Samples, sample_rate: int) -> list[TimedWord]:
    """Move the edges of words inwards, to the first and the last 10 ms that are not silent."""
    levels = _levels(samples, round(_HOP_SECONDS * sample_rate))
    if not len(levels):
        return list(words)
    is_loud = levels > np.percentile(levels, 95) - _SILENCE_BELOW_SPEECH
    return list(_trimmed(words, is_loud, len(samples) / sample_rate))


def _trimmed(words: Sequence[TimedWord], is_loud: NDArray[np.bool_], duration: float) -> Iterator[TimedWord]:
    for word in words:
        first, last = int(word.start / _HOP_SECONDS), int(np.ceil(word.end / _HOP_SECONDS))
        loud = np.flatnonzero(is_loud[first:last])
        start, end = word.start, min(word.end, duration)
        # A word without any loud part keeps the times of the attention, which are the best guess there is.
        if len(loud):
            start = max(start, (first + loud[0]) * _HOP_SECONDS)
            end = min(end, (first + loud[-1] + 1) * _HOP_SECONDS)
        end = max(end, start + _SHORTEST_WORD)
        yield replace(word, start=round(float(start), 3), end=round(float(end), 3))


def _levels(samples: Samples, hop: int) -> NDArray[np.float64]:
    """Compute the decibels of each hop."""
    hops = samples[: len(samples) // hop * hop].reshape(-1, hop)
    return np.asarray(10 * np.log10(np.mean(np.square(hops, dtype=np.float64), axis=1) + 1e-12))
