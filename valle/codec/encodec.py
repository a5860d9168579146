"""EnCodec 24 kHz at 6 kbit/s behind the `Codec` protocol, decoded by itself or by Vocos.

Weights are looked for in a cache directory (`VALLE_MODELS`, default `~/.cache/valle`) and fetched into it otherwise:
`encodec_24khz-<hash>.th` (the name carries the start of its SHA-256) and `vocos-encodec-24khz/pytorch_model.bin`.
Sources: Defossez et al. 2022 (arXiv 2210.13438), Siuzdak 2023 (arXiv 2306.00814).
"""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from encodec.model import ROOT_URL, EncodecModel
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from numpy.typing import NDArray
from torch import Tensor, nn
from vocos.heads import ISTFTHead
from vocos.models import VocosBackbone

from valle.audio import Samples
from valle.codec.base import Codec, CodecSpec, CodecStream, Codes
from valle.codec.batches import batch_groups
from valle.codec.encodec_stream import EncodecStream
from valle.codec.streaming import WindowStream
from warehouse.errors import DependencyError

SAMPLE_RATE = 24_000
HOP_LENGTH = 320
NUM_CODEBOOKS = 8
CODEBOOK_SIZE = 1024
KILOBITS = 6.0  # 75 frames a second x 8 codebooks x 10 bits
PUBLISHED_HASH = "d7cc33bc"
VOCOS_REPOSITORY = "charactr/vocos-encodec-24khz"
VOCOS_FILE = "pytorch_model.bin"
VOCOS_FOLDER = "vocos-encodec-24khz"
# Vocos is conditioned on the bandwidth: codebooks at 1.5, 3, 6 and 12 kbit/s.
VOCOS_CODEBOOKS = (2, 4, 8, 16)
VOCOS_CONTEXT = 29
"""Frames to each side that reach into one: nine convolutions of seven frames, and two by the inverse transform."""


def models_directory() -> Path:
    """Return the folder of fetched weights: `VALLE_MODELS`, by default `~/.cache/valle`."""
    return Path(os.environ.get("VALLE_MODELS", "~/.cache/valle")).expanduser()


def _encodec_file(directory: Path) -> Path | None:
    return next(iter(sorted(directory.glob("encodec_24khz-*.th"))), None)


def encodec_revision() -> str:
    """Return the start of the hash of the weights in the cache, or of the published ones when none are there."""
    path = _encodec_file(models_directory())
    return path.stem.rsplit("-", 1)[1] if path else PUBLISHED_HASH


def _load_encodec(directory: Path) -> EncodecModel:
    with warnings.catch_warnings():
        # The package still uses the old weight_norm of torch.
        warnings.simplefilter("ignore", FutureWarning)
        model = EncodecModel.encodec_model_24khz(pretrained=False)
    path = _encodec_file(directory)
    name = path.name if path else f"encodec_24khz-{PUBLISHED_HASH}.th"
    try:
        # Checks the hash in the name after a download, and reads the file as it is when it is there.
        state = torch.hub.load_state_dict_from_url(
            ROOT_URL + name, model_dir=str(directory), map_location="cpu", check_hash=True, weights_only=True
        )
    except (OSError, RuntimeError) as error:
        raise DependencyError(
            f"The EnCodec weights are neither in {directory} nor can they be fetched; run "
            f"`curl --create-dirs -o {directory / name} {ROOT_URL + name}` where there is a network"
        ) from error
    model.load_state_dict(state)
    model.set_target_bandwidth(KILOBITS)
    return model.eval()


class VocosDecoder(nn.Module):
    """Vocos for EnCodec features [B, 128, T], without the copy of EnCodec that the library's own class fetches."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = VocosBackbone(128, 384, 1152, 8, adanorm_num_embeddings=len(VOCOS_CODEBOOKS))
        self.head = ISTFTHead(384, 1280, HOP_LENGTH, padding="same")

    def forward(self, features: Tensor, num_codebooks: int) -> Tensor:
        """Return waveforms [B, 1, T * 320] of the summed entries of `num_codebooks` codebooks."""
        bandwidth = next(index for index, count in enumerate(VOCOS_CODEBOOKS) if num_codebooks <= count)
        bandwidth_id = torch.tensor([bandwidth], device=features.device)
        waveforms: Tensor = self.head(self.backbone(features, bandwidth_id=bandwidth_id))
        return waveforms[:, None]


def _load_vocos(directory: Path) -> VocosDecoder:
    path = directory / VOCOS_FOLDER / VOCOS_FILE
    if not path.exists():
        try:
            hf_hub_download(VOCOS_REPOSITORY, VOCOS_FILE, local_dir=path.parent)
        except (OSError, HfHubHTTPError, LocalEntryNotFoundError) as error:
            raise DependencyError(
                f"The Vocos weights are neither in {path.parent} nor can they be fetched; run "
                f"`hf download {VOCOS_REPOSITORY} {VOCOS_FILE} --local-dir {path.parent}` where there is a network"
            ) from error
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    decoder = VocosDecoder()
    decoder.load_state_dict({k: v for k, v in state.items() if not k.startswith("feature_extractor.")})
    return decoder.eval()


class EncodecCodec:
    """EnCodec at 24 kHz, 75 frames a second, eight codebooks of 1024 entries."""

    def __init__(
        self, model: EncodecModel, *, name: str, revision: str, vocos: VocosDecoder | None = None, device: str = "cpu"
    ) -> None:
        self._device = torch.device(device)
        self._model = model.to(self._device)
        self._vocos = vocos.to(self._device) if vocos else None
        self._spec = CodecSpec(name, revision, SAMPLE_RATE, HOP_LENGTH, NUM_CODEBOOKS, CODEBOOK_SIZE)

    @property
    def spec(self) -> CodecSpec:
        """Return the numbers that describe the codec."""
        return self._spec

    @property
    def codebooks(self) -> NDArray[np.float32]:
        """Return the vectors [8, 1024, 128] of all entries."""
        layers = self._model.quantizer.vq.layers[:NUM_CODEBOOKS]
        return np.stack([layer.codebook.detach().cpu().numpy() for layer in layers])

    @torch.inference_mode()
    def encode(self, waveforms: Sequence[Samples]) -> list[Codes]:
        """Encode mono float32 waveforms [N_i] at 24 kHz as int16 codes [8, ceil(N_i / 320)]."""
        results: list[Codes] = [np.zeros((NUM_CODEBOOKS, 0), np.int16)] * len(waveforms)
        for group in batch_groups([len(waveform) for waveform in waveforms], self._device):
            batch = np.stack([waveforms[index] for index in group]).astype(np.float32)
            if batch.shape[1] == 0:
                continue
            [(codes, _)] = self._model.encode(torch.from_numpy(batch)[:, None].to(self._device))  # [B, K, T]
            by_clip = codes.to("cpu", torch.int16).numpy()
            for row, index in enumerate(group):
                results[index] = by_clip[row]
        return results

    @torch.inference_mode()
    def decode(self, codes: Sequence[Codes]) -> list[Samples]:
        """Decode codes [K', T_i] with any K' from 1 to 8 to float32 waveforms [T_i * 320] within -1..1."""
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


def open_encodec(name: str, *, has_vocos: bool, device: str = "cpu") -> Codec:
    """Open EnCodec with its own decoder or with Vocos.

    Raises:
        DependencyError: weights are neither in the cache nor can they be fetched.
    """
    directory = models_directory()
    model = _load_encodec(directory)
    vocos = _load_vocos(directory) if has_vocos else None
    return EncodecCodec(model, name=name, revision=encodec_revision(), vocos=vocos, device=device)
