"""Score the quality of speech with metric models, and measure the signal without a model.

`dnsmos` (Reddy et al. 2021/2022, weights in the `speechmos` wheel) detects noise but not lost bandwidth; `distillmos`
(Stahl and Gamper 2025, weights in the `distillmos` wheel) detects both.
"""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from valle.audio import Samples
from valle.backends.dnsmos_int8 import P808Spectrum, quantized_network
from valle.backends.weights import file_revision, package_file
from warehouse.errors import ConfigurationError, unknown_name

SAMPLE_RATE = 16_000
_DNSMOS_SAMPLES = 144_160  # 9.01 s: the length that DNSMOS was trained on
# Version of `dnsmos_full`: 1 filled one window with a short clip, 2 does as the package speechmos.
_PUBLISHED_RECIPE = 2
_INT8_RECIPE = 2  # version of `dnsmos_int8`: 1 had all channels of the first convolution
_DNSMOS_FILES = ("dnsmos_models/sig_bak_ovr.onnx", "dnsmos_models/model_v8.onnx")
_DNSMOS_COMMAND = "pip install --no-deps speechmos==0.0.1.1"
_DISTILLMOS_COMMAND = "pip install distillmos xls-r-sqa"
_DNSMOS_NAMES = ("dnsmos", "dnsmos_full", "dnsmos_int8")
_LOG_ERRORS = 3  # of ONNX Runtime, which warns of every float weight that an integer one has replaced
_FLOOR = 1e-12

ScorerOutput = dict[str, float]
"""Scores by the names of their columns in the quality table."""


class QualityScorer(Protocol):
    """A metric model of speech quality."""

    def score(self, waveforms: Sequence[Samples]) -> list[ScorerOutput]:
        """Score mono 16 kHz waveforms within -1..1, none of them empty."""


def _windows(samples: Samples) -> list[Samples]:
    """Cut windows of 9.01 s side by side; the last ends with the clip, and a shorter clip is repeated to fill one."""
    if len(samples) < _DNSMOS_SAMPLES:
        return [np.tile(samples, -(-_DNSMOS_SAMPLES // len(samples)))[:_DNSMOS_SAMPLES]]
    last = len(samples) - _DNSMOS_SAMPLES
    starts = [*range(0, last, _DNSMOS_SAMPLES), last]
    return [samples[start : start + _DNSMOS_SAMPLES] for start in starts]


class Dnsmos:
    """DNSMOS P.835 and P.808, averaged over windows of 9.01 s.

    The published recipe (`is_published`) moves the window by one second, omits up to a second at the end of the clip,
    and doubles a short clip until it has a window. The default sets windows side by side and includes the end: six
    times as fast on a 15 s clip, and noise in the last second lowers the score. `is_int8` computes P.835 in integers of
    8 bits: four times as fast, and scores differ by a hundredth of a point; P.808 differs by rounding.
    """

    def __init__(self, *, threads: int = 1, is_published: bool = False, is_int8: bool = False) -> None:
        import onnxruntime
        from speechmos.dnsmos import DNSMOS

        paths = [str(path) for path in _dnsmos_paths()]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _LOG_ERRORS
        networks = [quantized_network(Path(paths[0])) if is_int8 else paths[0], paths[1]]
        self._model: Any = DNSMOS(*paths)
        self._model.onnx_sess, self._model.p808_onnx_sess = (
            onnxruntime.InferenceSession(network, sess_options=options, providers=["CPUExecutionProvider"])
            for network in networks
        )
        if is_int8:
            self._model.audio_melspec = P808Spectrum()
        self._is_published = is_published

    def score(self, waveforms: Sequence[Samples]) -> list[ScorerOutput]:
        """Score each waveform, as `QualityScorer` defines it."""
        return [self._score_clip(np.clip(samples, -1, 1)) for samples in waveforms]

    def _score_clip(self, samples: Samples) -> ScorerOutput:
        # The model of speechmos cuts a clip into the windows of the published recipe itself; of one window, that one.
        windows = [samples] if self._is_published else _windows(samples)
        outputs = [self._model(window, SAMPLE_RATE, False) for window in windows]
        names = {"ovrl_mos": "dnsmos_ovrl", "sig_mos": "dnsmos_sig", "bak_mos": "dnsmos_bak", "p808_mos": "dnsmos_p808"}
        return {column: float(np.mean([output[key] for output in outputs])) for key, column in names.items()}


class DistillMos:
    """DistillMOS, one clip at a time (it cuts and pads to windows of 7.68 s itself)."""

    def __init__(self) -> None:
        from distillmos import ConvTransformerSQAModel

        with contextlib.redirect_stdout(io.StringIO()):  # it prints the path of its weights
            self._model: Any = ConvTransformerSQAModel().eval()

    def score(self, waveforms: Sequence[Samples]) -> list[ScorerOutput]:
        """Score each waveform, as `QualityScorer` defines it."""
        import torch

        with torch.inference_mode():
            clips = [torch.from_numpy(np.ascontiguousarray(samples))[None] for samples in waveforms]
            return [{"distillmos": float(self._model(clip))} for clip in clips]


@dataclass(frozen=True, slots=True)
class Measures:
    """Measures of a signal; None where one is undefined (silence, or a clip of less than half a second)."""

    snr: float | None
    bandwidth: float | None
    loudness: float | None
    clipping: float


def measure(samples: Samples, sample_rate: int) -> Measures:
    """Measure mono samples at their own rate, since resampling would hide a lost band.

    snr: decibels between the 90th and the 5th percentile of 25 ms frame energies (speech against pauses).
    bandwidth: Hz below which 99.9 % of the energy above the noise floor lies. loudness: RMS in dBFS.
    clipping: share of samples at the largest magnitude, where that is near full scale and is held for two samples.
    """
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    if power < _FLOOR:
        return Measures(None, None, None, 0.0)
    return Measures(
        snr=_snr(samples, sample_rate),
        bandwidth=_bandwidth(samples, sample_rate),
        loudness=10 * float(np.log10(power)),
        clipping=_clipping(samples),
    )


def _frames(samples: Samples, length: int) -> NDArray[np.float64]:
    count = len(samples) // length
    return samples[: count * length].reshape(count, length).astype(np.float64)


def _snr(samples: Samples, sample_rate: int) -> float | None:
    energies = np.square(_frames(samples, sample_rate // 40)).mean(axis=1)
    if len(energies) < 20:
        return None
    quiet, loud = np.percentile(energies, (5, 90))
    return float(min(100.0, 10 * np.log10(max(loud - quiet, _FLOOR) / max(quiet, _FLOOR))))


def _bandwidth(samples: Samples, sample_rate: int) -> float | None:
    length = 2 ** int(np.ceil(np.log2(sample_rate / 25)))  # about 40 ms
    frames = _frames(samples, length)
    if len(frames) == 0:
        return None
    spectrum = np.square(np.abs(np.fft.rfft(frames * np.hanning(length), axis=1))).mean(axis=0)
    # The emptiest twentieth of the band estimates the noise floor. A flat spectrum has no such floor to subtract.
    floor = np.percentile(spectrum, 5)
    noise = 2 * floor if floor < 0.01 * spectrum.mean() else 0.0
    energy = np.cumsum(np.maximum(spectrum - noise, 0.0))
    edge = int(np.searchsorted(energy, 0.999 * energy[-1]))
    return float(edge * sample_rate / length)


def _clipping(samples: Samples) -> float:
    magnitude = np.abs(samples)
    peak = float(magnitude.max())
    if peak < 0.9:
        return 0.0
    at_peak = magnitude >= peak - 1e-4
    # Clipping flattens peaks, so it repeats the extreme value; a sine reaches it once per period.
    is_flat = at_peak[1:] & at_peak[:-1]
    return float(np.count_nonzero(at_peak)) / len(samples) if is_flat.any() else 0.0


def _dnsmos_paths() -> list[Path]:
    return [package_file("speechmos", name, command=_DNSMOS_COMMAND) for name in _DNSMOS_FILES]


def _distillmos_path() -> Path:
    return package_file("distillmos", "weights/distill_mos_v7.pt", command=_DISTILLMOS_COMMAND)


def _unknown(name: str) -> ConfigurationError:
    return unknown_name("quality scorer", name, (*_DNSMOS_NAMES, "distillmos"))


def open_quality_scorer(name: str, *, threads: int = 1) -> QualityScorer:
    """Open `dnsmos` (windows side by side), `dnsmos_full` (the published recipe), `dnsmos_int8` or `distillmos`.

    Raise DependencyError when its weights are not installed.
    """
    if name in _DNSMOS_NAMES:
        _dnsmos_paths()
        return Dnsmos(threads=threads, is_published=name == "dnsmos_full", is_int8=name == "dnsmos_int8")
    if name == "distillmos":
        _distillmos_path()
        return DistillMos()
    raise _unknown(name)


def quality_scorer_revision(name: str) -> str:
    """Return the name and the revision of the weights, without loading them."""
    if name == "dnsmos":
        return f"{name}@{file_revision(_dnsmos_paths()[0])}"
    if name == "dnsmos_full":
        return f"{name}@{file_revision(_dnsmos_paths()[0])}.{_PUBLISHED_RECIPE}"
    if name == "dnsmos_int8":
        return f"{name}@{file_revision(_dnsmos_paths()[0])}.{_INT8_RECIPE}"
    if name == "distillmos":
        return f"{name}@{file_revision(_distillmos_path())}"
    raise _unknown(name)
