"""How near a resynthesis is to its original, sample by sample and band by band; no model listens."""

import numpy as np
import torch
from pystoi import stoi

from valle.audio import Samples
from valle.codec.network import MiniConfig

RATE = MiniConfig().sample_rate


def intelligibility(original: Samples, resynthesis: Samples, sample_rate: int) -> float:
    """STOI, 0 to 1 (Taal et al. 2011); waveforms of about equal length. 0 for speech shorter than its 0.4 s window."""
    length = min(len(original), len(resynthesis))
    if length < 0.4 * sample_rate:
        return 0.0
    return float(np.clip(stoi(original[:length], resynthesis[:length], sample_rate), 0, 1))


def log_mel_distance(original: Samples, resynthesis: Samples) -> float:
    """Mean absolute difference of natural log-mels, of waveforms at `RATE`, over the hops that both have."""
    config = MiniConfig()
    fourier, log_mel = config.build_fourier(), config.build_log_mel()
    whole = min(len(original), len(resynthesis)) // config.hop_length * config.hop_length
    if not whole:
        return 0.0
    one, other = (log_mel(fourier(torch.from_numpy(sound[:whole])[None])) for sound in (original, resynthesis))
    return float((one - other).abs().mean())
