"""Mimi behind the `Codec` protocol: 24 kHz, 12.5 frames a second, codebooks of 2048.

Source: Defossez et al. 2024 (arXiv 2410.00037). The network is that of the `transformers` package. The first codebook
is semantic, the others are a residual quantizer of their own; the sum of both is a frame.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor
from transformers import DynamicCache, MimiConfig, MimiModel

from valle.audio import Samples
from valle.backends.fetched import fetch_weights, weights_revision
from valle.codec.base import Codec, CodecSpec, CodecStream, Codes
from valle.codec.network_codec import NetworkCodec
from warehouse.errors import DependencyError

NAME = "mimi"
NUM_CODEBOOKS = 8
"""Of the 32 published ones: 1.1 kbit/s, as its authors use for speech."""
HOP_LENGTH = 1920
STREAM_CONTEXT = 12
"""Hidden frames, two per frame of codes, that reach into the samples of one: seven by the first convolution, the
others by the transposed and residual ones."""


class MimiCodec(NetworkCodec):
    """Mimi with its first `num_codebooks` codebooks."""

    def __init__(
        self, model: MimiModel, *, revision: str, num_codebooks: int = NUM_CODEBOOKS, device: str = "cpu"
    ) -> None:
        config = model.config
        super().__init__(
            CodecSpec(NAME, revision, config.sampling_rate, HOP_LENGTH, num_codebooks, config.codebook_size), device
        )
        self._model = model.to(self._device).eval()

    @property
    def codebooks(self) -> NDArray[np.float32]:
        """Return the projected vectors [K, 2048, 512] of all entries."""
        quantizer = self._model.quantizer
        parts = (quantizer.semantic_residual_vector_quantizer, quantizer.acoustic_residual_vector_quantizer)
        with torch.inference_mode():
            vectors = [part.output_proj(layer.codebook.embed.T[None])[0].T for part in parts for layer in part.layers]
        return torch.stack(vectors[: self._spec.num_codebooks]).cpu().numpy()

    def _encode(self, waveforms: Tensor) -> Tensor:
        codes: Tensor = self._model.encode(waveforms[:, None], num_quantizers=self._spec.num_codebooks).audio_codes
        return codes

    @property
    def network(self) -> MimiModel:
        """Return the network with all weights of the codec."""
        return self._model

    def decode_batch(self, codes: Tensor) -> Tensor:
        """Decode int64 codes [B, K', T] to waveforms [B, N]."""
        waveforms: Tensor = self._model.decode(codes).audio_values[:, 0]
        return waveforms

    def stream(self) -> CodecStream:
        """Open a stream: the decoder is causal, so a frame is emitted as soon as it is known."""
        return MimiStream(self._model, self._device)


class MimiStream:
    """Decode one clip in pieces that join to the whole.

    Between pushes it keeps the last frame of latents, the keys and values of the transformer (its window is 250
    hidden frames) and the last hidden frames of the convolutions.
    """

    def __init__(self, model: MimiModel, device: torch.device) -> None:
        self._model, self._device = model, device
        self._latents: Tensor | None = None  # [1, C, 1]
        self._hidden: Tensor | None = None  # [1, C, context]
        # By the configuration, which bounds it to the window of the transformer.
        self._cache = DynamicCache(config=model.config)

    @property
    def latency_frames(self) -> int:
        """Return how many later frames must be known before a frame is emitted: none."""
        return 0

    @torch.inference_mode()
    def push(self, codes: Codes) -> Samples:
        """Return the samples [T * 1920] of codes [K, T]."""
        num_frames = codes.shape[1]
        if num_frames == 0:
            return np.zeros(0, np.float32)
        batch = torch.from_numpy(codes.astype(np.int64))[None].to(self._device)
        latents = self._model.quantizer.decode(batch)  # [1, C, T]
        # The upsampler spans two frames, so the last one is needed again.
        before = latents if self._latents is None else torch.cat([self._latents, latents], 2)
        self._latents = latents[:, :, -1:]
        decoder = self._model.decoder
        upsampled = decoder.upsample(before)[:, :, -2 * num_frames :]
        transformed = decoder.decoder_transformer(upsampled.transpose(1, 2), cache=self._cache)
        hidden = transformed.last_hidden_state.transpose(1, 2)
        hidden = hidden if self._hidden is None else torch.cat([self._hidden, hidden], 2)
        self._hidden = hidden[:, :, -STREAM_CONTEXT:]
        waveform = decoder.decoder_seanet(hidden)[0, 0, -num_frames * HOP_LENGTH :]
        samples: Samples = waveform.clamp(-1, 1).cpu().numpy()
        return samples

    def finish(self) -> Samples:
        """Return no samples: every frame was emitted when it was pushed."""
        return np.zeros(0, np.float32)


def open_mimi(*, device: str = "cpu") -> Codec:
    """Open Mimi. Raises DependencyError when its weights cannot be fetched or do not fit."""
    path = fetch_weights(NAME)
    return MimiCodec(load_mimi(path, MimiConfig()), revision=weights_revision(NAME), device=device)


def load_mimi(path: Path, config: MimiConfig) -> MimiModel:
    """Load the weights of a file. Raises DependencyError when they are not those of the configuration."""
    try:
        # The names of the published tensors are older than those of the modules; only `from_pretrained` converts them.
        model, found = MimiModel.from_pretrained(
            None, config=config, state_dict=load_file(path), output_loading_info=True
        )
    except (RuntimeError, OSError, ValueError) as error:
        raise DependencyError(_misfit(path)) from error
    if found["missing_keys"]:
        raise DependencyError(_misfit(path))
    return model


def _misfit(path: Path) -> str:
    return f"{path} holds other tensors than Mimi: remove it and run `valle models fetch mimi`."
