"""ASR feature loss: distances between activations of Whisper's encoder, for the decoder of a codec.

Spectral losses weigh a smeared plosive as little as faint hiss. Distances between activations of a network trained for
another task (deep feature losses, Germain et al. 2018, arXiv 1806.10522) weigh what distinguishes words. The weights
come from CTranslate2 files, but CTranslate2 computes no gradients, so the encoder is written in torch here.
"""

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.functional import melscale_fbanks, resample

from valle.backends.asr_models import model_directory
from warehouse.errors import ConfigurationError

SAMPLE_RATE = 16_000
_WINDOW, _HOP = 400, 160
# Decades below the loudest band at which Whisper clips its features.
_DYNAMIC_RANGE = 8.0
_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}

Weights = dict[str, Tensor]


def read_encoder(path: Path) -> Weights:
    """Read the float32 encoder variables of a CTranslate2 `model.bin` of Whisper, named without `encoder/`.

    Raises ConfigurationError when the file holds something else or its weights are quantized.
    """
    try:
        with path.open("rb") as stream:
            found = dict(_variables(stream))
    except (OSError, struct.error, KeyError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read as a CTranslate2 model ({error}).") from error
    if "conv1/weight" not in found:
        raise ConfigurationError(f"{path} holds no Whisper encoder; give the directory of a faster-whisper model.")
    if any(value.dtype == np.int8 for value in found.values()):
        raise ConfigurationError(f"{path} is quantized, and gradients need its weights in half or single precision.")
    return {name: torch.from_numpy(value.astype(np.float32)) for name, value in found.items()}


def _variables(stream: BinaryIO) -> list[tuple[str, np.ndarray]]:
    """Parse the encoder variables: a header, then name, shape, type and bytes of each variable."""
    _unpack(stream, "I")  # version of the format
    _name(stream)
    _unpack(stream, "I")  # revision of the model's description
    found = []
    for _ in range(_unpack(stream, "I")):
        name = _name(stream)
        shape = [_unpack(stream, "I") for _ in range(_unpack(stream, "B"))]
        kind, num_bytes = _unpack(stream, "B"), _unpack(stream, "I")
        content = stream.read(num_bytes)
        if name.startswith("encoder/"):
            found.append((name.removeprefix("encoder/"), np.frombuffer(content, _TYPES[kind]).reshape(shape)))
    return found


def _unpack(stream: BinaryIO, code: str) -> int:
    [value] = struct.unpack(f"<{code}", stream.read(struct.calcsize(f"<{code}")))
    return int(value)


def _name(stream: BinaryIO) -> str:
    return stream.read(_unpack(stream, "H")).rstrip(b"\0").decode()


class AsrEncoder(nn.Module):
    """Whisper's encoder (Radford et al. 2022) with frozen weights, on unpadded waveforms.

    Whisper pads its input to 30 s; without padding, excerpts of a second cost a thirtieth.
    """

    filters: Tensor
    hann: Tensor

    def __init__(self, weights: Weights, *, sample_rate: int) -> None:
        super().__init__()
        self._sample_rate = sample_rate
        self._num_heads = int(weights["num_heads"])
        self._num_layers = sum(name.endswith("self_attention/linear_0/weight") for name in weights)
        self._names = {name: name.replace("/", "_") for name in weights}
        for name, value in weights.items():
            self.register_buffer(self._names[name], value, persistent=False)
        num_mels = weights["conv1/weight"].shape[1]
        filters = melscale_fbanks(
            _WINDOW // 2 + 1, 0.0, SAMPLE_RATE / 2, num_mels, SAMPLE_RATE, norm="slaney", mel_scale="slaney"
        )
        self.register_buffer("filters", filters.T.contiguous(), persistent=False)
        self.register_buffer("hann", torch.hann_window(_WINDOW), persistent=False)

    def _weight(self, name: str) -> Tensor:
        return self.get_buffer(self._names[name])

    def log_mel(self, waveforms: Tensor) -> Tensor:
        """Return Whisper's features [B, mels, T] of waveforms [B, N], 100 frames a second."""
        resampled = resample(waveforms, self._sample_rate, SAMPLE_RATE)
        spectrum = torch.stft(resampled, _WINDOW, _HOP, window=self.hann, return_complex=True)[..., :-1]
        power = spectrum.real.square() + spectrum.imag.square()
        loudness = (self.filters @ power).clamp(min=1e-10).log10()
        loudest = loudness.detach().amax((1, 2), keepdim=True)
        return (torch.maximum(loudness, loudest - _DYNAMIC_RANGE) + 4) / 4

    def forward(self, waveforms: Tensor) -> list[Tensor]:
        """Return activations [B, T, D] after the convolutions, after each layer, and after the final normalisation."""
        return self.activations(self.log_mel(waveforms))

    def activations(self, features: Tensor) -> list[Tensor]:
        """Return the activations of features [B, mels, T]; see `forward`."""
        hidden = functional.gelu(self._convolve("conv1", features, stride=1))
        hidden = functional.gelu(self._convolve("conv2", hidden, stride=2)).transpose(1, 2)
        hidden = hidden + self._weight("position_encodings/encodings")[: hidden.shape[1]]
        outputs = [hidden]
        for i in range(self._num_layers):
            hidden = hidden + self._attend(f"layer_{i}/self_attention", hidden)
            hidden = hidden + self._feed_forward(f"layer_{i}/ffn", hidden)
            outputs.append(hidden)
        return [*outputs, self._normalise("layer_norm", hidden)]

    def _convolve(self, name: str, hidden: Tensor, *, stride: int) -> Tensor:
        return functional.conv1d(
            hidden, self._weight(f"{name}/weight"), self._weight(f"{name}/bias"), stride=stride, padding=1
        )

    def _linear(self, name: str, hidden: Tensor) -> Tensor:
        return functional.linear(hidden, self._weight(f"{name}/weight"), self._weight(f"{name}/bias"))

    def _normalise(self, name: str, hidden: Tensor) -> Tensor:
        return functional.layer_norm(
            hidden, hidden.shape[-1:], self._weight(f"{name}/gamma"), self._weight(f"{name}/beta")
        )

    def _attend(self, name: str, hidden: Tensor) -> Tensor:
        normal = self._normalise(f"{name}/layer_norm", hidden)
        projected = self._linear(f"{name}/linear_0", normal)
        batch, length, width = normal.shape
        heads = projected.view(batch, length, 3, self._num_heads, width // self._num_heads).permute(2, 0, 3, 1, 4)
        query, key, value = heads.unbind(0)
        attended = functional.scaled_dot_product_attention(query, key, value)
        return self._linear(f"{name}/linear_1", attended.transpose(1, 2).flatten(2))

    def _feed_forward(self, name: str, hidden: Tensor) -> Tensor:
        inner = functional.gelu(self._linear(f"{name}/linear_0", self._normalise(f"{name}/layer_norm", hidden)))
        return self._linear(f"{name}/linear_1", inner)


def open_asr_encoder(model: str, sample_rate: int) -> AsrEncoder:
    """Open the encoder of a faster-whisper model by name or directory, for waveforms at `sample_rate`."""
    return AsrEncoder(read_encoder(model_directory(model) / "model.bin"), sample_rate=sample_rate)


def asr_feature_loss(target: list[Tensor], made: list[Tensor]) -> Tensor:
    """Return the L1 distance of activations relative to the mean deviation of the target's, averaged over layers."""
    distances = [
        functional.l1_loss(m, t) / (t - t.mean((0, 1), keepdim=True)).abs().mean().clamp(min=1e-4)
        for t, m in zip(target, made, strict=True)
    ]
    return torch.stack(distances).mean()
