"""Read a prompt from a recording, and refuse one that defines no speaker."""

from pathlib import Path

import numpy as np

from valle.audio import Audio, AudioLocation, UnreadableAudio, read_audio, read_header
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
        raise ConfigurationError(f"The prompt {path} is silent; {advice}")
    return audio


def _first_seconds(path: Path) -> AudioLocation:
    """Return the span to decode: the time and memory of an hour-long recording are not needed for 15 s of it."""
    header = read_header(AudioLocation(str(path)))
    longest = round(LONGEST_SECONDS * header.sample_rate)
    return AudioLocation(str(path), num_samples=longest if header.num_samples > longest else None)
