"""TaskMeasures of one result of a task. All compare speech that the same codec decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from valle.audio import Samples, resample
from valle.evaluation.metrics.fidelity import FIDELITY_RATE, log_mel_distance
from valle.evaluation.metrics.score import cosine
from valle.text.normalise import normalise

if TYPE_CHECKING:
    from valle.backends.registry import Backends

_RATE = 16_000
_FLOOR = 1e-10


def si_sdr(estimate: Samples, reference: Samples) -> float:
    """Compute the scale-invariant signal-to-distortion ratio in decibels (Le Roux et al., arXiv 1811.02508, eq. 4).

    The longer signal is cut to the length of the other. At most 100 dB, for equal signals; -100 dB without signal.
    """
    count = min(len(estimate), len(reference))
    found, target = estimate[:count].astype(np.float64), reference[:count].astype(np.float64)
    power = float(target @ target)
    if power < _FLOOR or float(found @ found) < _FLOOR:
        return -100.0
    projected = (found @ target) / power * target
    noise = found - projected
    ratio = (float(projected @ projected) + _FLOOR) / (float(noise @ noise) + _FLOOR)
    return float(np.clip(10 * np.log10(ratio), -100, 100))


@dataclass(frozen=True, slots=True)
class TaskMeasures:
    """Metric models, for waveforms at the rate of a codec."""

    backends: Backends
    sample_rate: int
    asr: str = "tiny.en"
    speaker_encoder: str = "resemblyzer"

    def transcribe(self, samples: Samples, language: str) -> str:
        """Return the normalised transcription of speech; empty for no samples."""
        if not len(samples):
            return ""
        (found,) = self.backends.transcriber(self.asr).transcribe([self.wave(samples)], language)
        return normalise(found.text, language)

    def similarity(self, first: Samples, second: Samples) -> float | None:
        """Compute the cosine of the speakers of two waveforms; None where one has no speaker."""
        if not len(first) or not len(second):
            return None
        pair = self.backends.speaker_encoder(self.speaker_encoder).embed([self.wave(first), self.wave(second)])
        return None if any(np.isnan(one).any() for one in pair) else cosine(pair[0], pair[1])

    def dnsmos(self, samples: Samples) -> float | None:
        """Compute DNSMOS P.835 overall; None without samples."""
        if not len(samples):
            return None
        return self.backends.quality_scorer("dnsmos").score([self.wave(samples)])[0]["dnsmos_ovrl"]

    def spectral_distance(self, found: Samples, truth: Samples) -> float | None:
        """Compute the mean absolute difference of natural log-mels; None where one has no samples."""
        if not len(found) or not len(truth):
            return None
        return log_mel_distance(*(resample(samples, self.sample_rate, FIDELITY_RATE) for samples in (truth, found)))

    def wave(self, samples: Samples) -> Samples:
        """Resample samples at the rate of the codec to 16 kHz."""
        return resample(samples, self.sample_rate, _RATE)
