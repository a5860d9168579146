"""Read recordings: speech to edit or transform, and prompts, of which one that defines no speaker is refused."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from valle.audio import Audio, AudioLocation, UnreadableAudio, read_audio, read_header
from valle.codec.base import Codes
from warehouse.errors import ConfigurationError

SHORTEST_SECONDS = 1.0
LONGEST_SECONDS = 15.0
_SILENCE_DBFS = -60.0


def read_prompt(path: Path, sample_rate: int) -> Audio:
    """Read the first LONGEST_SECONDS of a recording as a prompt at `sample_rate`.

    Raises ConfigurationError for a file that cannot be decoded, for less than SHORTEST_SECONDS and for silence.
    """
    try:
        audio = read_audio(_first_seconds(path), sample_rate)
    except UnreadableAudio as error:
        raise ConfigurationError(f"The prompt cannot be read ({error}); give a recording of speech.") from error
    advice = "give 3 to 6 seconds of one speaker."
    # Models are trained on prompts of 1 to some seconds, and the cost of a prompt grows with every sentence.
    samples = audio.samples
    if len(samples) < SHORTEST_SECONDS * sample_rate:
        raise ConfigurationError(f"The prompt {path} lasts {len(samples) / sample_rate:.2f} s; {advice}")
    # In double precision: the mean of squares of quiet samples underflows in single precision.
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    if rms < 10 ** (_SILENCE_DBFS / 20):
        where = "" if audio.duration < LONGEST_SECONDS else f" in its first {LONGEST_SECONDS:g} s"
        raise ConfigurationError(f"The prompt {path} is silent{where}; {advice}")
    return audio


def read_speech(path: Path, *, longest: float = math.inf) -> Audio:
    """Read a recording at its own rate.

    Raises ConfigurationError for a file that cannot be decoded and for more than `longest` seconds.
    """
    location = AudioLocation(str(path))
    try:
        # Measured before it is in memory: ten megabytes may hold days of silence.
        header = read_header(location)
        if header.num_samples > longest * header.sample_rate:
            seconds = header.num_samples / header.sample_rate
            raise ConfigurationError(f"The recording has {seconds:.0f} s, and 0 to {longest:g} are accepted.")
        return read_audio(location)
    except UnreadableAudio as error:
        raise ConfigurationError(f"The recording cannot be read ({error}); give an audio file.") from error


def join_prompts(prompts: Sequence[Codes], *, shares: Sequence[float] = (), num_frames: int | None = None) -> Codes:
    """Join the prompts of one or several speakers to one, codes [K, P].

    With `num_frames` each is trimmed or repeated to its share of that length, by default equal shares; the model then
    speaks in a voice between those of the speakers. Raises ConfigurationError for shares that do not fit the prompts.
    """
    if shares and (len(shares) != len(prompts) or min(shares) <= 0):
        raise ConfigurationError(
            f"There are {len(prompts)} prompts and {len(shares)} shares: give a positive share for each, or none."
        )
    if num_frames is None and not shares:
        return np.concatenate(list(prompts), axis=1)
    whole = num_frames or sum(codes.shape[1] for codes in prompts)
    weights = np.array(shares or [1.0] * len(prompts))
    ends = np.round(np.cumsum(weights) / weights.sum() * whole).astype(int)
    lengths = np.diff(ends, prepend=0)
    return np.concatenate([fit_length(codes, n) for codes, n in zip(prompts, lengths, strict=True)], axis=1)


def fit_length(codes: Codes, num_frames: int) -> Codes:
    """Trim codes [K, P] to their first `num_frames`, or repeat them until they fill as many."""
    repeats = -(-num_frames // codes.shape[1])
    return np.tile(codes, (1, repeats))[:, :num_frames]


def _first_seconds(path: Path) -> AudioLocation:
    """Return the span to decode: the time and memory of an hour-long recording are not needed for 15 s of it."""
    header = read_header(AudioLocation(str(path)))
    longest = round(LONGEST_SECONDS * header.sample_rate)
    return AudioLocation(str(path), num_samples=longest if header.num_samples > longest else None)
