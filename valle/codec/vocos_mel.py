"""Vocos for mel-spectrograms behind the `Codec` protocol: each band of a log-mel, rounded to 256 levels, is a code.

It encodes nothing that a mel-spectrogram does not have, so a report on it is the bound of every system that predicts
mels and decodes them by Vocos. Sources: Siuzdak 2023 (arXiv 2306.00814); codes of rounded log-mels are those of dMel,
Bai et al. 2024 (arXiv 2407.15835), which has 16 levels.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad
from vocos.feature_extractors import MelSpectrogramFeatures
from vocos.heads import ISTFTHead
from vocos.models import VocosBackbone
from vocos.pretrained import Vocos

from valle.backends.fetched import fetch_weights, weights_revision
from valle.codec.base import Codec, CodecSpec, CodecStream
from valle.codec.network_codec import NetworkCodec
from valle.codec.streaming import WindowStream
from valle.tensors import load_pickled
from warehouse.errors import DependencyError

NAME = "vocos_mel_24khz"
WEIGHTS = "vocos-mel-24khz"
SAMPLE_RATE, HOP_LENGTH, WINDOW = 24_000, 256, 1024
NUM_BANDS, NUM_LEVELS = 100, 256
LOWEST, HIGHEST = float(np.log(1e-7)), 7.0
"""Range of the levels in nats: the floor of Vocos's log-mels, and more than a sine at full scale has."""
CONTEXT = 29
"""Frames to each side that reach into one: nine convolutions of seven frames, and two by the inverse transform."""


class VocosMelCodec(NetworkCodec):
    """Log-mels of Vocos at 24 kHz, 93.75 frames a second, as 100 parallel codes of 256 levels."""

    def __init__(self, model: Vocos, *, revision: str, device: str = "cpu") -> None:
        spec = CodecSpec(NAME, revision, SAMPLE_RATE, HOP_LENGTH, NUM_BANDS, NUM_LEVELS, "parallel")
        super().__init__(spec, device)
        self._model = model.to(self._device).eval()
        self._levels = torch.linspace(LOWEST, HIGHEST, NUM_LEVELS, device=self._device)

    @property
    def codebooks(self) -> NDArray[np.float32]:
        """Return the vectors [100, 256, 100] of all entries: a level in its own band, zero in the others."""
        vectors = np.zeros((NUM_BANDS, NUM_LEVELS, NUM_BANDS), np.float32)
        bands = np.arange(NUM_BANDS)
        vectors[bands, :, bands] = self._levels.cpu().numpy()
        return vectors

    def _encode(self, waveforms: Tensor) -> Tensor:
        num_frames = waveforms.shape[1] // HOP_LENGTH
        # The transform reflects half a window at the ends, which a clip must have.
        missing = max(0, WINDOW // 2 + 1 - waveforms.shape[1])
        log_mels = self._model.feature_extractor(pad(waveforms, (0, missing)))[:, :, :num_frames]
        levels = (log_mels - LOWEST) * ((NUM_LEVELS - 1) / (HIGHEST - LOWEST))
        return levels.round().clamp(0, NUM_LEVELS - 1)

    @property
    def network(self) -> Vocos:
        """Return the network with all weights of the codec."""
        return self._model

    def decode_batch(self, codes: Tensor) -> Tensor:
        """Decode int64 codes [B, K', T] to waveforms [B, T * hop]; bands without a code have the middle level."""
        log_mels = pad(self._levels[codes], (0, 0, 0, NUM_BANDS - codes.shape[1]), value=float(self._middle))
        # Frames are centred on the borders of hops, one more than there are hops. The last was not encoded.
        log_mels = torch.cat([log_mels, log_mels[:, :, -1:]], 2)
        waveforms: Tensor = self._model.decode(log_mels)
        return waveforms

    @property
    def _middle(self) -> Tensor:
        return self._levels[NUM_LEVELS // 2]

    def stream(self) -> CodecStream:
        """Open a stream: Vocos sees `CONTEXT` frames to both sides."""
        return WindowStream(lambda codes: self.decode([codes])[0], hop_length=HOP_LENGTH, context=CONTEXT)


def build_vocos_mel() -> Vocos:
    """Build the network of the published shape with random weights."""
    return Vocos(
        MelSpectrogramFeatures(SAMPLE_RATE, WINDOW, HOP_LENGTH, NUM_BANDS, padding="center"),
        VocosBackbone(NUM_BANDS, 512, 1536, 8),
        ISTFTHead(512, WINDOW, HOP_LENGTH, padding="center"),
    )


def open_vocos_mel(*, device: str = "cpu") -> Codec:
    """Open Vocos for mels. Raises DependencyError when its weights cannot be fetched or do not fit."""
    path = fetch_weights(WEIGHTS)
    return VocosMelCodec(_load(path), revision=weights_revision(WEIGHTS), device=device)


def _load(path: Path) -> Vocos:
    model = build_vocos_mel()
    try:
        model.load_state_dict(load_pickled(path))
    except (RuntimeError, OSError, ValueError) as error:
        raise DependencyError(f"{path} holds other tensors than Vocos: remove it and fetch it again.") from error
    return model
