"""How near a resynthesis is to its original, sample by sample and band by band; no model listens."""

import numpy as np
import torch
from pystoi import stoi

from valle.audio import Samples
from valle.codec.mini.fourier import ShortTimeFourier
from valle.codec.mini.mels import LogMel

# Fixed, so that distances compare over codecs and over versions of `mini`.
RATE = 24_000
_HOP, _WINDOW, _NUM_MELS = 320, 1280, 100


def intelligibility(original: Samples, resynthesis: Samples, sample_rate: int) -> float:
    """STOI, 0 to 1 (Taal et al. 2011); waveforms of about equal length. 0 for speech shorter than its 0.4 s window."""
    length = min(len(original), len(resynthesis))
    if length < 0.4 * sample_rate:
        return 0.0
    return float(np.clip(stoi(original[:length], resynthesis[:length], sample_rate), 0, 1))


def log_mel_distance(original: Samples, resynthesis: Samples) -> float:
    """Mean absolute difference of natural log-mels, of waveforms at `RATE`, over the hops that both have."""
    fourier = ShortTimeFourier(_WINDOW, _HOP)
    log_mel = LogMel(num_bins=_WINDOW // 2 + 1, num_mels=_NUM_MELS, sample_rate=RATE)
    whole = min(len(original), len(resynthesis)) // _HOP * _HOP
    if not whole:
        return 0.0
    one, other = (log_mel(fourier(torch.from_numpy(sound[:whole])[None])) for sound in (original, resynthesis))
    return float((one - other).abs().mean())
