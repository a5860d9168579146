"""What goes wrong in synthetic speech beside wrong words: silence, an early end, words said over and over."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from valle.audio import Audio

_FRAME_SECONDS = 0.02
_DEPTH = 40.0
"""Decibels below the loud parts (95th percentile) at which a frame is silent."""
_FLOOR = -65.0
"""Decibels relative to full scale below which everything is silent."""

EARLY_SECONDS_PER_WORD = 0.1
"""Nobody speaks ten words a second: shorter speech ended before its text did."""


@dataclass(frozen=True, slots=True)
class Silence:
    """`longest` is in seconds, `share` of the whole, 0 to 1."""

    longest: float
    share: float


def find_silence(audio: Audio) -> Silence:
    """The silence in speech: frames of 20 ms that lie 40 dB below the loud ones. Audio without a frame is silent."""
    length = round(_FRAME_SECONDS * audio.sample_rate)
    count = len(audio.samples) // length
    if count == 0:
        return Silence(audio.duration, 1.0)
    frames = audio.samples[: count * length].reshape(count, length)
    level = 10 * np.log10(np.square(frames, dtype=np.float64).mean(axis=1) + 1e-12)
    silent = level < max(_FLOOR, float(np.percentile(level, 95)) - _DEPTH)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], silent, [False])).astype(np.int8)))
    runs = edges[1::2] - edges[::2]
    return Silence(float(runs.max(initial=0)) * _FRAME_SECONDS, float(silent.mean()))


def count_repeated_words(reference: str, hypothesis: str) -> int:
    """The length of the longest run of words that was heard more often than the text has it; 0 where there is none.

    "the cat sat the cat sat" for "the cat sat" gives 3; a word that the text itself repeats is no repetition.
    """
    asked, heard = reference.split(), hypothesis.split()
    longest = 0
    for length in range(1, len(heard) // 2 + 1):
        wanted, said = _runs(asked, length), _runs(heard, length)
        if not any(times > max(1, wanted[run]) for run, times in said.items()):
            break
        longest = length
    return longest


def _runs(words: list[str], length: int) -> Counter[tuple[str, ...]]:
    """How often each run of `length` words occurs."""
    return Counter(tuple(words[start : start + length]) for start in range(len(words) - length + 1))


def ended_early(duration: float, num_words: int) -> bool:
    """Whether speech is too short to hold its words."""
    return duration < EARLY_SECONDS_PER_WORD * num_words
