"""EnCodec 24 kHz at 1.5 to 24 kbit/s behind the `Codec` protocol, decoded by itself or by Vocos.

A lower bit rate is a prefix of the codebooks of a higher one, by the same weights.
Sources: Defossez et al. 2022 (arXiv 2210.13438), Siuzdak 2023 (arXiv 2306.00814).
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from encodec.model import EncodecModel
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import remove_weight_norm
from vocos.heads import ISTFTHead
from vocos.models import VocosBackbone

from valle.audio import Samples
from valle.backends.fetched import fetch_weights, weights_revision
from valle.codec.base import Codec, CodecSpec, CodecStream, Codes
from valle.codec.batches import batch_groups
from valle.codec.encodec.convolutions import replace_elus
from valle.codec.encodec.encoder import EncodecEncoder
from valle.codec.encodec.quantizer import NearestEntries
from valle.codec.encodec.stream import EncodecStream
from valle.codec.streaming import WindowStream
from valle.tensors import load_pickled
from warehouse.errors import DependencyError

SAMPLE_RATE = 24_000
HOP_LENGTH = 320
CODEBOOK_SIZE = 1024
WEIGHTS = "encodec_24khz"
VOCOS_WEIGHTS = "vocos-encodec-24khz"
# Vocos is conditioned on the bandwidth: codebooks at 1.5, 3, 6 and 12 kbit/s.
VOCOS_CODEBOOKS = (2, 4, 8, 16)
VOCOS_CONTEXT = 29
"""Frames to each side that reach into one: nine convolutions of seven frames, and two by the inverse transform."""


def load_encodec(model: EncodecModel, path: Path) -> EncodecModel:
    """Load the weights of a file into a model. Raises DependencyError when they do not fit."""
    try:
        model.load_state_dict(load_pickled(path))
    except (RuntimeError, OSError, ValueError) as error:
        raise DependencyError(f"{path} holds other tensors than its EnCodec: remove it and fetch it again.") from error
    return prepare_for_inference(model)


def prepare_for_inference(model: EncodecModel) -> EncodecModel:
    """Multiply weight norms out and replace the activations: a third of the time, within the precision of floats."""
    for module in model.modules():
        if hasattr(module, "weight_g"):
            remove_weight_norm(module)
    replace_elus(model)
    return model.eval()


def build_encodec_24khz() -> EncodecModel:
    """Build the network with random weights."""
    with warnings.catch_warnings():
        # The package still uses the old weight_norm of torch.
        warnings.simplefilter("ignore", FutureWarning)
        return EncodecModel.encodec_model_24khz(pretrained=False)


class VocosDecoder(nn.Module):
    """Vocos for EnCodec features [B, 128, T], without the copy of EnCodec that the library's own class fetches."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = VocosBackbone(128, 384, 1152, 8, adanorm_num_embeddings=len(VOCOS_CODEBOOKS))
        self.head = ISTFTHead(384, 1280, HOP_LENGTH, padding="same")

    def forward(self, features: Tensor, num_codebooks: int) -> Tensor:
        """Return waveforms [B, 1, T * 320] of the summed entries of `num_codebooks` codebooks."""
        bandwidth_id = torch.tensor([self.bandwidth(num_codebooks)], device=features.device)
        waveforms: Tensor = self.head(self.backbone(features, bandwidth_id=bandwidth_id))
        return waveforms[:, None]

    def bandwidth(self, num_codebooks: int) -> int:
        """Return the index of the smallest bandwidth that has as many codebooks."""
        return next(index for index, count in enumerate(VOCOS_CODEBOOKS) if num_codebooks <= count)


def _load_vocos(path: Path) -> VocosDecoder:
    decoder = VocosDecoder()
    try:
        state = load_pickled(path)
        decoder.load_state_dict({k: v for k, v in state.items() if not k.startswith("feature_extractor.")})
    except (RuntimeError, OSError, ValueError) as error:
        raise DependencyError(f"{path} holds other tensors than Vocos: remove it and fetch it again.") from error
    return decoder.eval()


class EncodecCodec:
    """EnCodec at 24 kHz, 75 frames a second, 2 to 32 codebooks of 1024 entries."""

    def __init__(
        self,
        model: EncodecModel,
        *,
        name: str,
        revision: str,
        num_codebooks: int,
        vocos: VocosDecoder | None = None,
        batch_seconds: float = 60.0,
        device: str = "cpu",
    ) -> None:
        """Use a model as `load_encodec` returns it; `batch_seconds`, padding included, bound the memory of `encode`."""
        self._device = torch.device(device)
        self._model = model.to(self._device)
        self._encoder = EncodecEncoder(
            self._model,
            hop_length=HOP_LENGTH,
            batch_frames=round(batch_seconds * (SAMPLE_RATE / HOP_LENGTH)),
            device=self._device,
        )
        self._entries = NearestEntries(self._model.quantizer.vq.layers[:num_codebooks])
        self._vocos = vocos.to(self._device) if vocos else None
        self._spec = CodecSpec(name, revision, SAMPLE_RATE, HOP_LENGTH, num_codebooks, CODEBOOK_SIZE)

    @property
    def spec(self) -> CodecSpec:
        """Return the numbers that describe the codec."""
        return self._spec

    @property
    def network(self) -> EncodecModel:
        """Return the network with its own decoder and the quantizer."""
        return self._model

    @property
    def vocos(self) -> VocosDecoder | None:
        """Return the decoder that takes the place of its own."""
        return self._vocos

    @property
    def codebooks(self) -> NDArray[np.float32]:
        """Return the vectors [K, 1024, 128] of all entries."""
        layers = self._model.quantizer.vq.layers[: self._spec.num_codebooks]
        return np.stack([layer.codebook.detach().cpu().numpy() for layer in layers])

    @torch.inference_mode()
    def encode(self, waveforms: Sequence[Samples]) -> list[Codes]:
        """Encode mono float32 waveforms [N_i] at 24 kHz as int16 codes [K, ceil(N_i / 320)]."""
        results: list[Codes] = [np.zeros((self._spec.num_codebooks, 0), np.int16)] * len(waveforms)
        for batch in self._encoder.batches([len(waveform) for waveform in waveforms]):
            clips = [torch.from_numpy(waveforms[index].astype(np.float32, copy=False)) for index in batch]
            for index, latents in zip(batch, self._encoder.encode(clips), strict=True):
                results[index] = self._entries.encode(latents[0]).to("cpu", torch.int16).numpy()
        return results

    @torch.inference_mode()
    def decode(self, codes: Sequence[Codes]) -> list[Samples]:
        """Decode codes [K', T_i] with any K' from 1 to K to float32 waveforms [T_i * 320] within -1..1."""
        results: list[Samples] = [np.zeros(0, np.float32)] * len(codes)
        for group in batch_groups([array.shape for array in codes], self._device):
            batch = np.stack([codes[index] for index in group], axis=1).astype(np.int64)  # [K', B, T]
            if batch.shape[2] == 0:
                continue
            features = self._model.quantizer.decode(torch.from_numpy(batch).to(self._device))  # [B, 128, T]
            decoded = self._vocos(features, len(batch)) if self._vocos else self._model.decoder(features)
            waveforms = decoded[:, 0, : batch.shape[2] * HOP_LENGTH].clamp(-1, 1).cpu().numpy()
            for row, index in enumerate(group):
                results[index] = waveforms[row]
        return results

    def stream(self) -> CodecStream:
        """Open a stream: EnCodec's decoder is causal, Vocos sees `VOCOS_CONTEXT` frames to both sides."""
        if self._vocos is None:
            return EncodecStream(self._model, self._device, HOP_LENGTH)
        return WindowStream(lambda codes: self.decode([codes])[0], hop_length=HOP_LENGTH, context=VOCOS_CONTEXT)


def open_encodec(name: str, *, num_codebooks: int, has_vocos: bool, device: str = "cpu") -> Codec:
    """Open EnCodec with its own decoder or with Vocos.

    Raises:
        DependencyError: weights are neither in the models folder nor can they be fetched.
    """
    model = load_encodec(build_encodec_24khz(), fetch_weights(WEIGHTS))
    vocos = _load_vocos(fetch_weights(VOCOS_WEIGHTS)) if has_vocos else None
    return EncodecCodec(
        model,
        name=name,
        revision=weights_revision(WEIGHTS),
        num_codebooks=num_codebooks,
        vocos=vocos,
        device=device,
    )
