"""NVIDIA's audio codec behind the `Codec` protocol: 44.1 kHz, 86.1 frames a second, eight parallel codebooks of 1000.

The codebooks are groups of a finite scalar quantizer, so none is coarser than another and every entry is in use by
construction.
"""

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from valle.backends.fetched import fetch_weights, weights_revision
from valle.codec.base import Codec, CodecSpec, CodecStream
from valle.codec.network_codec import NetworkCodec
from valle.codec.nvidia.fsq import GroupedFsq
from valle.codec.nvidia.nemo_file import NemoConfig, read_nemo
from valle.codec.nvidia.network import Decoder, Encoder
from valle.codec.streaming import WindowStream
from warehouse.errors import DependencyError

NAME = "nvidia_44khz"


class NvidiaNetwork(nn.Module):
    """Encoder, quantizer and decoder of a configuration."""

    def __init__(self, config: NemoConfig) -> None:
        super().__init__()
        width = config.num_groups * len(config.levels)
        self.config = config
        self.audio_encoder = Encoder(width, config.strides, config.encoder_channels, config.encoder_activation)
        self.audio_decoder = Decoder(width, config.upsampling, config.decoder_channels, config.decoder_activation)
        self.quantizer = GroupedFsq(config.num_groups, config.levels)


class NvidiaCodec(NetworkCodec):
    """A codec of NeMo with grouped FSQ."""

    is_traceable = True

    def __init__(self, network: NvidiaNetwork, *, name: str, revision: str, device: str = "cpu") -> None:
        config, quantizer = network.config, network.quantizer
        # From the file, not from the name: the codec at 22 kHz has the same form and other strides.
        hop_length = math.prod(config.strides)
        spec = CodecSpec(
            name, revision, config.sample_rate, hop_length, config.num_groups, quantizer.codebook_size, "parallel"
        )
        super().__init__(spec, device)
        self._network = network.to(self._device).eval()

    @property
    def codebooks(self) -> NDArray[np.float32]:
        """Return the vectors [8, 1000, 32] of all entries, zero outside their group."""
        return self._network.quantizer.codebooks.float().cpu().numpy()

    def _encode(self, waveforms: Tensor) -> Tensor:
        return self._network.quantizer.encode(self._network.audio_encoder(waveforms))

    @property
    def network(self) -> NvidiaNetwork:
        """Return the network with all weights of the codec."""
        return self._network

    def decode_batch(self, codes: Tensor) -> Tensor:
        """Decode int64 codes [B, K', T] to waveforms [B, N]."""
        quantizer = self._network.quantizer
        missing = quantizer.num_groups - codes.shape[1]
        if missing:
            # Zero latents, the mean of what the decoder was trained on; code 0 would be the smallest in every number.
            middle = codes.new_full((len(codes), missing, codes.shape[2]), quantizer.middle)
            codes = torch.cat([codes, middle], 1)
        waveforms: Tensor = self._network.audio_decoder(quantizer.decode(codes))
        return waveforms

    def stream(self) -> CodecStream:
        """Open a stream: the decoder is not causal, but sees few frames to both sides."""
        return WindowStream(
            lambda codes: self.decode([codes])[0],
            hop_length=self._spec.hop_length,
            context=self._network.audio_decoder.context,
        )


def load_network(path: Path) -> NvidiaNetwork:
    """Load a `.nemo` file. Raises DependencyError when it is damaged or of another architecture."""
    file = read_nemo(path)
    network = NvidiaNetwork(file.config)
    try:
        network.load_state_dict(file.tensors)
    except RuntimeError as error:
        raise DependencyError(f"{path} holds other tensors than {NAME}: run `valle models fetch {NAME}`.") from error
    return network


def open_nvidia(*, device: str = "cpu") -> Codec:
    """Open `nvidia_44khz`. Raises DependencyError when its weights cannot be fetched or do not fit."""
    path = fetch_weights(NAME)
    return NvidiaCodec(load_network(path), name=NAME, revision=weights_revision(NAME), device=device)
