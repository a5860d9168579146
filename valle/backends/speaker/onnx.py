"""Speaker encoders that are published as ONNX files: CAM++ and ERes2Net of 3D-Speaker, ResNet34 of WeSpeaker.

Their input is Kaldi filter banks [B, T, 80] minus the mean over time, their output a vector [B, D]. The front ends
differ, and a wrong one ruins the scores without an error: therefore the name selects it, and there is no option.
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

# Fixed by the weights.
_NUM_MELS = 80
_MIN_SAMPLES = 4_000  # a quarter of a second: fewer frames have no statistics


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """Front end of a model: the window, and the factor on samples within -1..1."""

    window: Literal["povey", "hamming"]
    scale: float


FRONT_ENDS = {
    "campplus": FrontEnd("povey", 1.0),
    "eres2net": FrontEnd("povey", 1.0),
    "wespeaker": FrontEnd("hamming", 32768.0),
}


def filter_banks(samples: Samples, front_end: FrontEnd) -> NDArray[np.float32]:
    """Compute log-mel energies of 16 kHz samples, 25 ms every 10 ms, each band with mean 0: [T, 80]."""
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
    """A speaker encoder from an ONNX file; each clip is embedded alone and uncut."""

    def __init__(self, path: Path, front_end: FrontEnd) -> None:
        """Load the model; raise DependencyError when its input is not filter banks."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        try:
            self._model: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors share no other base
            raise DependencyError(f"{path} is no ONNX model ({str(error).splitlines()[0][:200]}).") from error
        (banks, *more_inputs), outputs = self._model.get_inputs(), self._model.get_outputs()
        if more_inputs or len(banks.shape) != 3 or banks.shape[2] != _NUM_MELS or not outputs:
            raise DependencyError(
                f"the input of {path} is {banks.name} {banks.shape}, not filter banks [batch, frames, {_NUM_MELS}]; "
                "get the model that computes an embedding."
            )
        # 3D-Speaker and WeSpeaker export the embedding as the last output.
        self._input, self._output = banks.name, outputs[-1].name
        self._front_end = front_end

    def embed(self, waveforms: Sequence[Samples]) -> list[Embedding]:
        """Embed as `SpeakerEncoder` defines it; a clip under a quarter of a second gives a vector of NaN too."""
        embeddings = [self._embed_clip(samples) for samples in waveforms]
        # The file need not declare the size of its output, so it is that of a clip that has an embedding.
        size = next((len(embedding) for embedding in embeddings if embedding is not None), 1)
        return [np.full(size, np.nan, np.float32) if found is None else found for found in embeddings]

    def _embed_clip(self, samples: Samples) -> Embedding | None:
        if len(samples) < _MIN_SAMPLES or not np.any(samples):
            return None
        (output,) = self._model.run([self._output], {self._input: filter_banks(samples, self._front_end)[None]})
        vector = np.asarray(output, dtype=np.float32).reshape(-1)
        embedding: Embedding = vector / np.linalg.norm(vector)
        return embedding
