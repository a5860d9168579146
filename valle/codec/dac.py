"""Descript Audio Codec at 16, 24 and 44.1 kHz behind the `Codec` protocol: Kumar et al. 2023 (arXiv 2306.06546).

The network is that of the `transformers` package; its weights are those that Descript publishes for it.
"""

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor
from transformers import DacConfig, DacModel

from valle.backends.fetched import fetch_weights, weights_revision
from valle.codec.base import Codec, CodecSpec, CodecStream
from valle.codec.network_codec import NetworkCodec
from valle.codec.streaming import WindowStream
from warehouse.errors import DependencyError

_DILATIONS = (1, 3, 9)  # of the residual units; each has a convolution of seven samples
_KERNEL = 7


def dac_config(name: str) -> DacConfig:
    """Return the published shape of `dac_16khz`, `dac_24khz` or `dac_44khz`."""
    if name == "dac_44khz":
        return DacConfig(sampling_rate=44_100, n_codebooks=9)
    # The two lower rates share one shape: a frame of 320 samples.
    strides = [2, 4, 5, 8]
    return DacConfig(
        sampling_rate=16_000 if name == "dac_16khz" else 24_000,
        n_codebooks=12 if name == "dac_16khz" else 32,
        downsampling_ratios=strides,
        upsampling_ratios=strides[::-1],
    )


class DacCodec(NetworkCodec):
    """DAC with factorized codebooks: an entry is projected to the width of the latents before it is summed."""

    is_traceable = True

    def __init__(self, model: DacModel, *, name: str, revision: str, device: str = "cpu") -> None:
        config = model.config
        hop_length = math.prod(config.downsampling_ratios)
        spec = CodecSpec(name, revision, config.sampling_rate, hop_length, config.n_codebooks, config.codebook_size)
        super().__init__(spec, device)
        self._model = model.to(self._device).eval()
        # Computed, not measured: the windows of a stream must hold all frames that reach into the emitted ones.
        self._context = decoder_context(config.upsampling_ratios)

    @property
    def codebooks(self) -> NDArray[np.float32]:
        """Return the projected vectors [K, 1024, 1024] of all entries."""
        with torch.inference_mode():
            layers = self._model.quantizer.quantizers
            vectors = [layer.out_proj(layer.codebook.weight.T[None])[0].T for layer in layers]
            return torch.stack(vectors).cpu().numpy()

    def _encode(self, waveforms: Tensor) -> Tensor:
        codes: Tensor = self._model.encode(waveforms[:, None]).audio_codes
        return codes

    @property
    def network(self) -> DacModel:
        """Return the network with all weights of the codec."""
        return self._model

    def decode_batch(self, codes: Tensor) -> Tensor:
        """Decode int64 codes [B, K', T] to waveforms [B, N]."""
        latents = self._model.quantizer.from_codes(codes)[0]
        # From the latents, so that codes of fewer codebooks decode: those that are missing add nothing.
        waveforms: Tensor = self._model.decoder(latents)[:, 0]
        return waveforms

    def stream(self) -> CodecStream:
        """Open a stream: the decoder is not causal, but sees few frames to both sides."""
        return WindowStream(
            lambda codes: self.decode([codes])[0], hop_length=self._spec.hop_length, context=self._context
        )


def decoder_context(strides: list[int]) -> int:
    """Return the frames to each side that reach into the samples of one, from the kernels of the decoder."""
    reach, samples_per_frame = _KERNEL // 2 + 0.0, 1
    for stride in strides:
        reach += math.ceil(stride / 2) / stride / samples_per_frame + 1 / samples_per_frame
        samples_per_frame *= stride
        reach += sum(dilation * (_KERNEL // 2) for dilation in _DILATIONS) / samples_per_frame
    return math.ceil(reach + (_KERNEL // 2) / samples_per_frame)


def open_dac(name: str, *, device: str = "cpu") -> Codec:
    """Open DAC `name`. Raises DependencyError when its weights cannot be fetched or do not fit."""
    path = fetch_weights(name)
    return DacCodec(_load(name, path), name=name, revision=weights_revision(name), device=device)


def _load(name: str, path: Path) -> DacModel:
    model = DacModel(dac_config(name))
    try:
        model.load_state_dict(load_file(path))
    except (RuntimeError, ValueError) as error:
        raise DependencyError(
            f"{path} holds other tensors than {name}: remove it and run `valle models fetch {name}`."
        ) from error
    return model
