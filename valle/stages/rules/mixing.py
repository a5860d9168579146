"""Mix speech with noise, a room or another speaker, and change its voice: float32 in, float32 of equal length out."""

import numpy as np
import soxr

from valle.audio import Samples

_PEAK = 0.99


def add_at_snr(speech: Samples, interference: Samples, snr: float) -> Samples:
    """Add interference at `snr` decibels below the speech; it is repeated or cut to the length of the speech.

    Both powers are means over the utterance. Where the sum would exceed full scale, all of it is attenuated.
    """
    fitted = np.resize(interference, len(speech)) if len(interference) else np.zeros_like(speech)
    noise_power, speech_power = _power(fitted), _power(speech)
    if noise_power == 0 or speech_power == 0:
        return speech
    gain = np.sqrt(speech_power / noise_power / 10 ** (snr / 10))
    return _bounded(speech + np.float32(gain) * fitted)


def reverberate(speech: Samples, response: Samples) -> Samples:
    """Convolve speech with the impulse response of a room, aligned with its direct sound and as loud as before."""
    from scipy.signal import oaconvolve  # slow to import, and the options of every command name this stage

    start = int(np.abs(response).argmax())
    wet = oaconvolve(speech, response[start:])[: len(speech)].astype(np.float32)
    power = _power(wet)
    if power == 0:
        return speech
    return _bounded(wet * np.float32(np.sqrt(_power(speech) / power)))


def change_voice(speech: Samples, sample_rate: int, factor: float) -> Samples:
    """Multiply pitch and formants by `factor` at the same tempo: the words and rhythm of another speaker.

    The samples are played at another speed (Ko et al., Interspeech 2015), and a phase vocoder restores the tempo.
    """
    from librosa.effects import time_stretch
    from librosa.util import fix_length

    faster = soxr.resample(speech, sample_rate * factor, sample_rate).astype(np.float32)
    # Its length is that of the whole input over the rate, rounded: pad or cut the last samples.
    stretched = time_stretch(faster, rate=len(faster) / max(1, len(speech)))
    return np.asarray(fix_length(stretched, size=len(speech)), dtype=np.float32)


def _power(samples: Samples) -> float:
    return float(np.mean(np.square(samples, dtype=np.float64)))


def _bounded(samples: Samples) -> Samples:
    peak = float(np.abs(samples).max())
    return samples if peak <= _PEAK else (samples * np.float32(_PEAK / peak)).astype(np.float32)
