"""Speaker encoders that are published as ONNX files: CAM++ and ERes2Net of 3D-Speaker, ResNet34 of WeSpeaker.

All take Kaldi filter banks [B, T, 80] with the mean over time taken off, and give a vector [B, D]. What differs is the
front end, and a wrong one ruins the scores without an error; it therefore goes with the name, never with an option.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from valle.audio import Samples
from valle.backends.speaker.base import SAMPLE_RATE, Embedding
from warehouse.errors import DependencyError

_NUM_MELS = 80
_MIN_SAMPLES = 4_000  # a quarter of a second: fewer frames have no statistics


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """How a model's filter banks are made: the window, and the factor on samples within -1..1."""

    window: Literal["povey", "hamming"]
    scale: float


FRONT_ENDS = {
    "campplus": FrontEnd("povey", 1.0),
    "eres2net": FrontEnd("povey", 1.0),
    "wespeaker": FrontEnd("hamming", 32768.0),
}


def filter_banks(samples: Samples, front_end: FrontEnd) -> NDArray[np.float32]:
    """Log mel energies of 16 kHz samples, 25 ms every 10 ms, each band with mean 0: [T, 80]."""
    from torchaudio.compliance import kaldi

    banks = kaldi.fbank(
        torch.from_numpy(np.ascontiguousarray(samples))[None] * front_end.scale,
        num_mel_bins=_NUM_MELS,
        sample_frequency=SAMPLE_RATE,
        frame_length=25.0,
        frame_shift=10.0,
        dither=0.0,
        window_type=front_end.window,
    )
    features: NDArray[np.float32] = (banks - banks.mean(dim=0)).numpy()
    return features


class OnnxSpeaker:
    """A model from a file, one clip at a time, whole."""

    def __init__(self, path: Path, front_end: FrontEnd) -> None:
        """Raises DependencyError when the file is no model of filter banks."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        try:
            self._model: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors share no other base
            raise DependencyError(f"{path} is no ONNX model ({str(error).splitlines()[0][:200]}).") from error
        (given, *others), made = self._model.get_inputs(), self._model.get_outputs()
        if others or len(given.shape) != 3 or given.shape[2] != _NUM_MELS or not made:
            raise DependencyError(
                f"{path} takes {given.name} {given.shape}, not filter banks [batch, frames, {_NUM_MELS}]; get the "
                "model that gives an embedding."
            )
        self._input, self._output = given.name, made[-1].name
        self._front_end = front_end

    def embed(self, waveforms: Sequence[Samples]) -> list[Embedding]:
        """See `SpeakerEncoder`; a clip shorter than a quarter of a second gives a vector of NaN too."""
        voices = [self._one(samples) for samples in waveforms]
        size = next((len(voice) for voice in voices if voice is not None), 1)
        return [np.full(size, np.nan, np.float32) if voice is None else voice for voice in voices]

    def _one(self, samples: Samples) -> Embedding | None:
        if len(samples) < _MIN_SAMPLES or not np.any(samples):
            return None
        (made,) = self._model.run([self._output], {self._input: filter_banks(samples, self._front_end)[None]})
        voice = np.asarray(made, dtype=np.float32).reshape(-1)
        embedding: Embedding = voice / np.linalg.norm(voice)
        return embedding
