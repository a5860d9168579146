"""Compare a waveform with its original: intelligibility (STOI), and the distance of their log-mels."""

import numpy as np
import torch
from pystoi import stoi

from valle.audio import Samples
from valle.codec.mini.fourier import ShortTimeFourier
from valle.codec.mini.mels import LogMel

# Constants of the log-mel distance, so that it is comparable over codecs and versions of `mini`.
FIDELITY_RATE = 24_000
_HOP, _WINDOW, _NUM_MELS = 320, 1280, 100

_STOI_SECONDS = 0.4  # one window of STOI


def intelligibility(original: Samples, resynthesis: Samples, sample_rate: int) -> float:
    """Return STOI, 0 to 1 (Taal et al. 2011), of waveforms of about equal length; 0 for less than one window."""
    length = min(len(original), len(resynthesis))
    if length < _STOI_SECONDS * sample_rate:
        return 0.0
    return float(np.clip(stoi(original[:length], resynthesis[:length], sample_rate), 0, 1))


def log_mel_distance(original: Samples, resynthesis: Samples) -> float:
    """Return the mean absolute difference of natural log-mels, over the hops of both waveforms at 24 kHz."""
    fourier = ShortTimeFourier(_WINDOW, _HOP)
    log_mel = LogMel(num_bins=_WINDOW // 2 + 1, num_mels=_NUM_MELS, sample_rate=FIDELITY_RATE)
    length = min(len(original), len(resynthesis)) // _HOP * _HOP
    if not length:
        return 0.0
    a, b = (log_mel(fourier(torch.from_numpy(samples[:length])[None])) for samples in (original, resynthesis))
    return float((a - b).abs().mean())
