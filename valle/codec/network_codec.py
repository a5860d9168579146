"""A codec around a network that encodes and decodes batches of equal length."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import pad

from valle.audio import Samples
from valle.codec.base import CodecSpec, CodecStream, Codes
from valle.codec.batches import batch_groups


class NetworkCodec(ABC):
    """The parts of the `Codec` protocol that are equal for all networks: padding, batches, lengths, range."""

    is_traceable: ClassVar[bool] = False
    """True if `decode_batch` has an equal graph: operations of ONNX, and no choice by the length of a clip."""

    def __init__(self, spec: CodecSpec, device: str) -> None:
        self._spec = spec
        self._device = torch.device(device)

    @property
    def spec(self) -> CodecSpec:
        """Return the numbers that describe the codec."""
        return self._spec

    @property
    @abstractmethod
    def codebooks(self) -> NDArray[np.float32]:
        """Return the vector of each entry of each codebook, [K, N, D]; a frame is the sum of its entries."""

    @abstractmethod
    def stream(self) -> CodecStream:
        """Open a stream that decodes one clip in pieces."""

    @abstractmethod
    def _encode(self, waveforms: Tensor) -> Tensor:
        """Encode waveforms [B, T * hop] as integer codes [B, K, T]."""

    @property
    @abstractmethod
    def network(self) -> nn.Module:
        """Return the network with all weights of the codec."""

    @abstractmethod
    def decode_batch(self, codes: Tensor) -> Tensor:
        """Decode int64 codes [B, K', T] to waveforms [B, N]; N may differ from T * hop by the edges."""

    @torch.inference_mode()
    def encode(self, waveforms: Sequence[Samples]) -> list[Codes]:
        """Encode mono float32 waveforms [N_i] as int16 codes [K, ceil(N_i / hop)]; zeros pad the last hop."""
        results: list[Codes] = [np.zeros((self._spec.num_codebooks, 0), np.int16)] * len(waveforms)
        padded = [self._whole_hops(waveform) for waveform in waveforms]
        for group in batch_groups([len(waveform) for waveform in padded], self._device):
            batch = torch.stack([padded[index] for index in group]).to(self._device)
            if batch.shape[1] == 0:
                continue
            codes = self._encode(batch).to("cpu", torch.int16).numpy()
            for row, index in enumerate(group):
                results[index] = codes[row]
        return results

    @torch.inference_mode()
    def decode(self, codes: Sequence[Codes]) -> list[Samples]:
        """Decode codes [K', T_i] with any K' from 1 to K to float32 waveforms [T_i * hop] within -1..1."""
        results: list[Samples] = [np.zeros(0, np.float32)] * len(codes)
        for group in batch_groups([array.shape for array in codes], self._device):
            batch = torch.from_numpy(np.stack([codes[index] for index in group]).astype(np.int64)).to(self._device)
            if batch.shape[2] == 0:
                continue
            num_samples = batch.shape[2] * self._spec.hop_length
            waveforms = self.decode_batch(batch)[:, :num_samples].clamp(-1, 1)
            # Transposed convolutions of an odd stride end a few samples early.
            waveforms = pad(waveforms, (0, num_samples - waveforms.shape[1]))
            for row, index in enumerate(group):
                results[index] = waveforms[row].cpu().numpy()
        return results

    def _whole_hops(self, waveform: Samples) -> Tensor:
        assert waveform.ndim == 1, f"a mono waveform [N] is required, not {waveform.shape}"
        missing = self._spec.num_frames(len(waveform)) * self._spec.hop_length - len(waveform)
        return torch.from_numpy(np.pad(waveform.astype(np.float32, copy=False), (0, missing)))
