"""An inaudible mark that speech is synthetic: Perth (Resemble AI), whose weights are in its wheel.

Perth changes the magnitudes below 2 kHz; its detector survives MP3 at 64 kbit/s, resampling to 16 kHz and cuts (figures
in docs/serving.md). It tells that speech was made by a program with this mark, not by which one, and someone who
wants to remove it can.
"""

import contextlib
import io
import threading
import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np

from valle.audio import Audio, Samples, resample
from warehouse.errors import DependencyError

# Speech to both sides of a piece that affects its mark: convolutions over 31 frames of 10 ms, windows of 64 ms.
_CONTEXT_SECONDS = 0.25
_FADE_SECONDS = 0.01
# Speech that is marked at a time; shorter pieces wait for the next.
_SHORTEST_SECONDS = 0.1
_DETECTED_AT = 0.5
_SPAN_SECONDS = 2.0
_RATE = 32_000
_lock = threading.Lock()


class Watermarker(Protocol):
    """The two methods of Perth that are used."""

    def apply_watermark(self, signal: Samples, sample_rate: int) -> Samples:
        """Return marked samples of about the same length."""

    def get_watermark(self, wm_signal: Samples, sample_rate: int, round: bool) -> Any:
        """Return the confidence from 0 to 1 that samples are marked."""


@dataclass(frozen=True, slots=True)
class Detection:
    """Confidence from 0 to 1 that audio is marked, and the seconds of it that are, counted in spans of 2 s."""

    confidence: float
    marked_seconds: float

    @property
    def is_marked(self) -> bool:
        """Return whether the audio, or a span of it, is marked."""
        return self.confidence > _DETECTED_AT or self.marked_seconds > 0


class Watermark:
    """Mark a stream of speech; it follows by a quarter of a second."""

    def __init__(self, marker: Watermarker, sample_rate: int) -> None:
        self._marker, self._rate = marker, sample_rate
        self._context, self._fade, self._shortest = (
            round(seconds * sample_rate) for seconds in (_CONTEXT_SECONDS, _FADE_SECONDS, _SHORTEST_SECONDS)
        )
        self._samples = np.zeros(0, dtype=np.float32)  # from the context before the first sample that is not emitted
        self._num_before = 0  # samples of it that were emitted
        self._tail = np.zeros(0, dtype=np.float32)  # the last piece's version of the samples after it

    def push(self, samples: Samples) -> Samples:
        """Return the marked samples [N], possibly none, whose context is known."""
        self._samples = np.concatenate([self._samples, samples])
        until = len(self._samples) - self._context
        if until - self._num_before < self._shortest:
            return np.zeros(0, dtype=np.float32)
        return self._emit(until)

    def finish(self) -> Samples:
        """Return the remaining samples."""
        if len(self._samples) == self._num_before:
            return np.zeros(0, dtype=np.float32)
        return self._emit(len(self._samples))

    def _emit(self, until: int) -> Samples:
        marked = _apply(self._marker, self._samples, self._rate)
        piece = marked[self._num_before : until].copy()
        # What counts as loud depends on the piece, so two marked versions of a sample differ.
        faded = min(len(self._tail), len(piece))
        weights = np.linspace(0, 1, self._fade, endpoint=False, dtype=np.float32)[:faded]
        piece[:faded] = piece[:faded] * weights + self._tail[:faded] * (1 - weights)
        self._tail = marked[until : until + self._fade]
        gone = max(0, until - self._context)
        self._samples, self._num_before = self._samples[gone:], until - gone
        return piece


def _apply(marker: Watermarker, samples: Samples, sample_rate: int) -> Samples:
    """Return samples with the mark, exactly as many."""
    # Silence has no loudest frame, and a clip shorter than a window no frame at all.
    shortest = round(0.1 * sample_rate)
    if len(samples) < shortest or not np.any(np.abs(samples) > 1e-4):
        return samples
    with _lock, _without_gradients():
        marked = marker.apply_watermark(resample(samples, sample_rate, _RATE), sample_rate=_RATE)
    marked = resample(np.asarray(marked, dtype=np.float32), _RATE, sample_rate)[: len(samples)]
    padded: Samples = np.concatenate([marked, samples[len(marked) :]]).astype(np.float32)
    return padded


def _without_gradients() -> contextlib.AbstractContextManager[object]:
    """Return a context in which torch keeps nothing for gradients: Perth, which needs none, holds megabytes a call."""
    import torch  # not needed by those who mark nothing

    return torch.inference_mode()


def open_watermark(sample_rate: int) -> Watermark:
    """Open the mark of one stream. Raises DependencyError when Perth is missing."""
    return Watermark(_open_perth(), sample_rate)


def require_watermark() -> None:
    """Load the weights of the mark. Raises DependencyError when Perth is missing."""
    _open_perth()


def mark(audio: Audio) -> Audio:
    """Return marked audio. Raises DependencyError when Perth is missing."""
    return Audio(np.clip(_apply(_open_perth(), audio.samples, audio.sample_rate), -1, 1), audio.sample_rate)


def detect(audio: Audio) -> Detection:
    """Return whether audio is marked. Raises DependencyError when Perth is missing."""
    samples = resample(audio.samples, audio.sample_rate, _RATE)
    span = round(_SPAN_SECONDS * _RATE)
    spans = [samples[first : first + span] for first in range(0, len(samples), span)]
    marked = sum(len(one) for one in spans if len(one) * 2 >= span and _confidence(one) > _DETECTED_AT)
    return Detection(_confidence(samples), marked / _RATE)


def _confidence(samples: Samples) -> float:
    if not np.any(np.abs(samples) > 1e-4):
        return 0.0
    with _lock, _without_gradients():
        found = _open_perth().get_watermark(samples, sample_rate=_RATE, round=False)
    return float(np.nan_to_num(np.asarray(found).mean()))


@cache
def _open_perth() -> Watermarker:
    try:
        # Perth prints on loading, and standard output may have the speech.
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from perth import PerthImplicitWatermarker

            marker: Watermarker = PerthImplicitWatermarker()
    # TypeError: the import of Perth fails inside where setuptools has no pkg_resources, and leaves None.
    except (ImportError, TypeError) as error:
        raise DependencyError(
            "The watermark needs Perth: run `pip install 'valle[watermark]'`, or turn it off with --no-watermark."
        ) from error
    return marker
