"""Detect defects of synthetic speech other than wrong words: silence, an early end, repeated words."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from valle.audio import Audio

_FRAME_SECONDS = 0.02
# Decibels below the loud parts (95th percentile) at which a frame is silent.
_SILENCE_DEPTH_DB = 40.0
# Decibels relative to full scale below which every frame is silent.
_SILENCE_FLOOR_DBFS = -65.0

EARLY_SECONDS_PER_WORD = 0.1
"""Speech of more than ten words a second has ended before its text: no speaker is that fast."""


@dataclass(frozen=True, slots=True)
class Silence:
    """The `longest` silence in seconds, and the `share` of all silence in the duration, 0 to 1."""

    longest: float
    share: float


def find_silence(audio: Audio) -> Silence:
    """Measure silence: frames of 20 ms that are 40 dB below the loud ones. Audio without a frame is silent."""
    frame_length = round(_FRAME_SECONDS * audio.sample_rate)
    num_frames = len(audio.samples) // frame_length
    if num_frames == 0:
        return Silence(audio.duration, 1.0)
    frames = audio.samples[: num_frames * frame_length].reshape(num_frames, frame_length)
    # The addend keeps the logarithm of digital silence finite.
    rms_dbfs = 10 * np.log10(np.square(frames, dtype=np.float64).mean(axis=1) + 1e-12)
    is_silent = rms_dbfs < max(_SILENCE_FLOOR_DBFS, float(np.percentile(rms_dbfs, 95)) - _SILENCE_DEPTH_DB)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], is_silent, [False])).astype(np.int8)))
    run_lengths = edges[1::2] - edges[::2]
    return Silence(float(run_lengths.max(initial=0)) * _FRAME_SECONDS, float(is_silent.mean()))


def count_repeated_words(reference: str, hypothesis: str) -> int:
    """Return the length of the longest run of words that the hypothesis has more often than the reference.

    "the cat sat the cat sat" for "the cat sat" gives 3; a repetition that the reference contains does not count.
    """
    reference_words, hypothesis_words = reference.split(), hypothesis.split()
    longest = 0
    for length in range(1, len(hypothesis_words) // 2 + 1):
        expected, found = _count_runs(reference_words, length), _count_runs(hypothesis_words, length)
        # A repeated run contains shorter ones, so that no longer run can be repeated when none of this length is.
        if not any(count > max(1, expected[run]) for run, count in found.items()):
            break
        longest = length
    return longest


def _count_runs(words: list[str], length: int) -> Counter[tuple[str, ...]]:
    """Count the occurrences of each run of `length` words."""
    return Counter(tuple(words[start : start + length]) for start in range(len(words) - length + 1))


def ended_early(duration: float, num_words: int) -> bool:
    """Return whether speech is too short for its words."""
    return duration < EARLY_SECONDS_PER_WORD * num_words
