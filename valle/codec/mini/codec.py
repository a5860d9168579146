"""`mini` and `mini_44khz` behind the `Codec` protocol: 75 frames a second, eight codebooks of 1024 entries."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from valle.audio import Samples
from valle.backends.fetched import stored_weights
from valle.codec.base import Codec, CodecSpec, CodecStream, Codes
from valle.codec.batches import batch_groups
from valle.codec.mini.network import MINI_44KHZ, MiniNetwork
from valle.codec.mini.streaming import MiniStream
from valle.codec.mini.weights_file import read_network
from valle.codec.mini_revision import EMBEDDED, mini_revision
from warehouse.errors import DependencyError

NAME = "mini"
NAME_44KHZ = "mini_44khz"


class MiniCodec:
    """A codec that `valle.codec_training` trained; that at 24 kHz is embedded."""

    def __init__(self, network: MiniNetwork, *, revision: str, name: str = NAME, device: str = "cpu") -> None:
        self._device = torch.device(device)
        self._network = network.to(self._device).eval()
        config = network.config
        self._spec = CodecSpec(
            name, revision, config.sample_rate, config.hop_length, config.num_codebooks, config.codebook_size
        )

    @property
    def spec(self) -> CodecSpec:
        """Return the numbers that describe the codec."""
        return self._spec

    @property
    def network(self) -> MiniNetwork:
        """Return the network."""
        return self._network

    @property
    def codebooks(self) -> NDArray[np.float32]:
        """Return the vectors [8, 1024, 64] of all entries."""
        return self._network.quantizer.codebooks.cpu().numpy()

    def _whole_hops(self, waveform: Samples) -> Tensor:
        assert waveform.ndim == 1, f"a mono waveform [N] is wanted, not {waveform.shape}"
        num_frames = self._spec.num_frames(len(waveform))
        padded = np.zeros(num_frames * self._spec.hop_length, np.float32)
        padded[: len(waveform)] = waveform
        return torch.from_numpy(padded)

    @torch.inference_mode()
    def encode(self, waveforms: Sequence[Samples]) -> list[Codes]:
        """Encode mono float32 waveforms [N_i] as int16 codes [8, ceil(N_i / hop)]; zeros pad the last hop."""
        padded = [self._whole_hops(waveform) for waveform in waveforms]
        results: list[Codes] = [np.zeros((self._spec.num_codebooks, 0), np.int16)] * len(padded)
        for group in batch_groups([len(waveform) for waveform in padded], self._device):
            batch = torch.stack([padded[index] for index in group]).to(self._device)
            if batch.shape[1] == 0:
                continue
            latents = self._network.encode(batch)  # [B, T, D]
            codes = self._network.quantizer.encode(latents.flatten(0, 1))  # [K, B * T]
            by_clip = codes.view(len(codes), *latents.shape[:2]).to("cpu", torch.int16).numpy()
            for row, index in enumerate(group):
                results[index] = np.ascontiguousarray(by_clip[:, row])
        return results

    @torch.inference_mode()
    def decode(self, codes: Sequence[Codes]) -> list[Samples]:
        """Decode codes [K', T_i] with any K' from 1 to 8 to float32 waveforms [T_i * hop] within -1..1."""
        results: list[Samples] = [np.zeros(0, np.float32)] * len(codes)
        for group in batch_groups([array.shape for array in codes], self._device):
            batch = np.stack([codes[index] for index in group], axis=1)  # [K', B, T]
            num_codebooks, num_clips, num_frames = batch.shape
            assert 1 <= num_codebooks <= self._spec.num_codebooks, f"1 to 8 codebooks are wanted, not {num_codebooks}"
            if num_frames == 0:
                continue
            flat = torch.from_numpy(batch.reshape(num_codebooks, -1).astype(np.int64)).to(self._device)
            latents = self._network.quantizer.decode(flat).view(num_clips, num_frames, -1)
            waveforms = self._network.decode(latents).clamp(-1, 1).cpu().numpy()
            for row, index in enumerate(group):
                results[index] = waveforms[row]
        return results

    def stream(self) -> CodecStream:
        """Open a stream with a look-ahead of 38 frames (0.51 s) at the shipped windows."""
        return MiniStream(self._network)


def open_mini(path: Path = EMBEDDED, *, device: str = "cpu") -> Codec:
    """Open the codec of a weights file. Raises DependencyError when the file is missing or damaged."""
    return MiniCodec(read_network(path), revision=mini_revision(path), device=device)


def open_mini_44khz(*, device: str = "cpu") -> Codec:
    """Open `mini_44khz`. Raises DependencyError when no weights are stored, or they are of another rate."""
    path = stored_weights(NAME_44KHZ)
    network = read_network(path)
    if network.config.sample_rate != MINI_44KHZ.sample_rate:
        raise DependencyError(f"{path} works at {network.config.sample_rate} Hz, not at 44100: store another file.")
    return MiniCodec(network, revision=mini_revision(path), name=NAME_44KHZ, device=device)
