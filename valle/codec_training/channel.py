"""Other microphones and other rooms: random equalizers, and random noise, for crops of training speech.

A few hundred speakers are a few hundred microphones. A decoder that only knows those takes the sound of another for
a part of what is said.
"""

import numpy as np
from numpy.typing import NDArray

from valle.audio import Samples

_NUM_BANDS = 10
_EQUALIZER_DB = 4.0
"""Standard deviation of the gain of a band."""
_NOISE_SHARE = 0.4
"""Share of the changed crops that get noise."""
_SIGNAL_TO_NOISE_DB = (15.0, 45.0)


def other_channels(samples: Samples, *, share: float, rng: np.random.Generator) -> Samples:
    """Crops [B, N], about a `share` of them as another microphone hears them, as loud as before, and some in noise."""
    changed = samples.copy()
    for row in np.flatnonzero(rng.random(len(samples)) < share):
        changed[row] = _as_loud_as(samples[row], _equalized(samples[row], rng))
        if rng.random() < _NOISE_SHARE:
            white = rng.standard_normal(samples.shape[1:], dtype=np.float32)
            noise = _equalized(white, rng)
            ratio = 10 ** (-rng.uniform(*_SIGNAL_TO_NOISE_DB) / 20)
            changed[row] += ratio * _as_loud_as(samples[row], noise)
    return changed


def _equalized(samples: Samples, rng: np.random.Generator) -> Samples:
    """Samples [N] behind a filter without phase whose gain in decibels is random, and smooth over frequency."""
    spectrum = np.fft.rfft(samples)
    # Straight lines between bands that are equally wide in octaves; below the lowest, level.
    octaves = np.log2(np.linspace(1 / 64, 1, len(spectrum)))
    knots = np.linspace(octaves[0], 0, _NUM_BANDS)
    gains: NDArray[np.float64] = np.interp(octaves, knots, rng.normal(0, _EQUALIZER_DB, _NUM_BANDS))
    return np.fft.irfft(spectrum * 10 ** (gains / 20), len(samples)).astype(np.float32)


def _as_loud_as(reference: Samples, samples: Samples) -> Samples:
    """Samples [N] with the power of the reference; silence stays."""
    power = float(np.square(samples).mean())
    return samples * np.float32(np.sqrt(np.square(reference).mean() / power)) if power > 0 else samples
