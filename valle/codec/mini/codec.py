"""The embedded codec behind the `Codec` protocol: 24 kHz, 75 frames a second, eight codebooks of 1024 entries."""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from valle.audio import Samples
from valle.codec.base import Codec, CodecSpec, Codes
from valle.codec.mini.network import MiniNetwork
from valle.codec.mini.weights_file import EMBEDDED, read_header, read_network

NAME = "mini"


def batch_groups(sizes: Sequence[Hashable], device: torch.device) -> list[list[int]]:
    """Indices of the clips that run through a network together.

    On a CPU every clip runs alone: that is as fast, and the only way that its codes depend on nothing but itself (the
    order in which a matrix product sums changes with the number of rows). Elsewhere clips of equal size share a batch.
    """
    if device.type == "cpu":
        return [[index] for index in range(len(sizes))]
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for index, size in enumerate(sizes):
        groups[size].append(index)
    return list(groups.values())


class MiniCodec:
    """The codec trained by this project."""

    def __init__(self, network: MiniNetwork, *, revision: str, device: str = "cpu") -> None:
        self._device = torch.device(device)
        self._network = network.to(self._device).eval()
        config = network.config
        self._spec = CodecSpec(
            NAME, revision, config.sample_rate, config.hop_length, config.num_codebooks, config.codebook_size
        )

    @property
    def spec(self) -> CodecSpec:
        """Its numbers."""
        return self._spec

    @property
    def codebooks(self) -> NDArray[np.float32]:
        """See `Codec`; D is 64."""
        return self._network.quantizer.codebooks.cpu().numpy()

    def _whole_hops(self, waveform: Samples) -> Tensor:
        assert waveform.ndim == 1, f"a mono waveform [N] is wanted, not {waveform.shape}"
        num_frames = self._spec.num_frames(len(waveform))
        padded = np.zeros(num_frames * self._spec.hop_length, np.float32)
        padded[: len(waveform)] = waveform
        return torch.from_numpy(padded)

    @torch.inference_mode()
    def encode(self, waveforms: Sequence[Samples]) -> list[Codes]:
        """Mono float32 waveforms [N_i] at 24 kHz to int16 codes [8, ceil(N_i / 320)]; the last hop is zero-padded."""
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
        """Codes [K', T_i] with any K' from 1 to 8 to float32 waveforms [T_i * 320] within -1..1."""
        results: list[Samples] = [np.zeros(0, np.float32)] * len(codes)
        for group in batch_groups([array.shape for array in codes], self._device):
            batch = np.stack([codes[index] for index in group], axis=1)  # [K', B, T]
            num_levels, num_clips, num_frames = batch.shape
            assert 1 <= num_levels <= self._spec.num_codebooks, f"1 to 8 codebooks are wanted, not {num_levels}"
            if num_frames == 0:
                continue
            flat = torch.from_numpy(batch.reshape(num_levels, -1).astype(np.int64)).to(self._device)
            latents = self._network.quantizer.decode(flat).view(num_clips, num_frames, -1)
            waveforms = self._network.decode(latents).clamp(-1, 1).cpu().numpy()
            for row, index in enumerate(group):
                results[index] = waveforms[row]
        return results


def open_mini(path: Path = EMBEDDED, *, device: str = "cpu") -> Codec:
    """The codec from a weights file. Raises DependencyError when the file is missing or damaged."""
    return MiniCodec(read_network(path), revision=read_header(path).revision, device=device)


def mini_revision(path: Path = EMBEDDED) -> str:
    """Revision of the codes it makes, read from the header of the file."""
    return read_header(path).revision
