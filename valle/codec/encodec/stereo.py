"""EnCodec 48 kHz behind the `Codec` protocol: a stereo network, used for mono, in chunks of one second.

The network normalizes over time inside each chunk and expects every chunk at the same loudness, so it is neither
causal nor does it keep loudness. Here a clip is scaled to a fixed loudness as a whole: its loud and quiet parts keep
their relation, and a decoded clip has the loudness `DECODED_RMS`. Chunks do not overlap, so that frames are equally
spaced and a code belongs to one place (Defossez et al. 2022, arXiv 2210.13438, section 3.4, overlaps them by 1 %).
"""

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from encodec.model import EncodecModel
from numpy.typing import NDArray
from torch import Tensor

from valle.audio import Samples
from valle.backends.fetched import fetch_weights, weights_revision
from valle.codec.base import Codec, CodecSpec, CodecStream, Codes
from valle.codec.encodec.mono import load_encodec
from valle.codec.network_codec import NetworkCodec
from valle.codec.streaming import ChunkStream

WEIGHTS = "encodec_48khz"
HOP_LENGTH = 320
CHUNK_FRAMES = 150
"""Frames of a chunk of one second, the length that the network was trained on."""
DECODED_RMS = 0.1
"""Root mean square of a decoded clip: -20 dBFS, an average loudness of read speech."""
KILOBITS_PER_CODEBOOK = 1.5  # 150 frames a second x 10 bits


class Encodec48Codec(NetworkCodec):
    """EnCodec at 48 kHz, 150 frames a second, 2 to 16 codebooks of 1024 entries; mono in both channels."""

    def __init__(
        self, model: EncodecModel, *, name: str, revision: str, num_codebooks: int, device: str = "cpu"
    ) -> None:
        super().__init__(CodecSpec(name, revision, 48_000, HOP_LENGTH, num_codebooks, 1024), device)
        self._model = model.to(self._device)

    @property
    def codebooks(self) -> NDArray[np.float32]:
        """Return the vectors [K, 1024, 128] of all entries."""
        layers = self._model.quantizer.vq.layers[: self._spec.num_codebooks]
        return np.stack([layer.codebook.detach().cpu().numpy() for layer in layers])

    def encode(self, waveforms: Sequence[Samples]) -> list[Codes]:
        """Encode mono float32 waveforms [N_i] as int16 codes [K, ceil(N_i / 320)] of any loudness."""
        return super().encode([_at_unit_loudness(waveform) for waveform in waveforms])

    def _encode(self, waveforms: Tensor) -> Tensor:
        kilobits = self._spec.num_codebooks * KILOBITS_PER_CODEBOOK
        chunks = [
            self._model.quantizer.encode(
                self._model.encoder(chunk[:, None].expand(-1, 2, -1)), self._model.frame_rate, kilobits
            )
            for chunk in torch.split(waveforms, CHUNK_FRAMES * HOP_LENGTH, dim=1)
        ]
        return torch.cat(chunks, 2).transpose(0, 1)

    @property
    def network(self) -> EncodecModel:
        """Return the network with all weights of the codec."""
        return self._model

    def decode_batch(self, codes: Tensor) -> Tensor:
        """Decode int64 codes [B, K', T] to waveforms [B, N]."""
        chunks = [
            self._model.decoder(self._model.quantizer.decode(chunk.transpose(0, 1))).mean(1)
            for chunk in torch.split(codes, CHUNK_FRAMES, dim=2)
        ]
        # Both channels encode the same mono clip; their mean is mono again.
        return torch.cat(chunks, 1) * DECODED_RMS

    def stream(self) -> CodecStream:
        """Open a stream that emits whole chunks of a second."""
        return ChunkStream(lambda codes: self.decode([codes])[0], chunk_frames=CHUNK_FRAMES)


def _at_unit_loudness(waveform: Samples) -> Samples:
    """Scale a clip to a root mean square of 1; silence keeps its zeros."""
    rms = float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))) if len(waveform) else 0.0
    scaled: Samples = (waveform / max(rms, 1e-4)).astype(np.float32)
    return scaled


def build_encodec_48khz() -> EncodecModel:
    """Build the network with random weights."""
    with warnings.catch_warnings():
        # The package still uses the old weight_norm of torch.
        warnings.simplefilter("ignore", FutureWarning)
        return EncodecModel.encodec_model_48khz(pretrained=False)


def open_encodec_48khz(name: str, *, num_codebooks: int, device: str = "cpu") -> Codec:
    """Open EnCodec 48 kHz. Raises DependencyError when its weights cannot be fetched or do not fit."""
    model = load_encodec(build_encodec_48khz(), fetch_weights(WEIGHTS))
    return Encodec48Codec(
        model, name=name, revision=weights_revision(WEIGHTS), num_codebooks=num_codebooks, device=device
    )
