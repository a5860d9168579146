"""Track the pitch of training audio: DIO refined by StoneMask, of the WORLD vocoder (Morise et al. 2009, 2016)."""

from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from valle.audio import Samples
from valle.codec.mini.source import LOWEST_PITCH
from warehouse.errors import DependencyError

_HIGHEST = 600.0
_UNKNOWN = np.float32(0)


def track_pitch(samples: Samples, sample_rate: int, hop_length: int) -> NDArray[np.float32]:
    """Return hertz at the centre of every started hop, 0 where unvoiced: float32 [ceil(N / hop)].

    Raises DependencyError without the package `pyworld-prebuilt`.
    """
    try:
        world = import_module("pyworld")
    except ModuleNotFoundError as error:
        raise DependencyError(
            "Training a codec needs a pitch tracker; install it with `pip install pyworld-prebuilt`."
        ) from error
    num_frames = -(-len(samples) // hop_length)
    # Every half hop, so that the odd estimates lie on the centres of hops; silence covers the last one.
    period = 500 * hop_length / sample_rate
    padded = np.pad(samples.astype(np.float64), (0, 3 * hop_length))
    options = {"f0_floor": LOWEST_PITCH, "f0_ceil": _HIGHEST, "frame_period": period, "speed": 2}
    rough, times = world.dio(padded, sample_rate, **options)
    refined = world.stonemask(padded, rough, times, sample_rate)
    return np.asarray(refined[1::2][:num_frames], np.float32)


def fill_pitch(hertz: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return (log2 hertz, voicing) of a track [T]: unvoiced spans are interpolated, silence is at 150 Hz."""
    is_voiced = hertz > _UNKNOWN
    if not is_voiced.any():
        return np.full(len(hertz), np.log2(150), np.float32), np.zeros(len(hertz), np.float32)
    frames = np.arange(len(hertz))
    bridged = np.interp(frames, frames[is_voiced], np.log2(hertz[is_voiced]))
    return bridged.astype(np.float32), is_voiced.astype(np.float32)
