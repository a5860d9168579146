"""The network of the embedded codec: log-mel, ConvNeXt encoder, residual quantizer, ConvNeXt decoder, inverse STFT.

Backbone and head are those of Vocos (Siuzdak 2023, `vocos` package). The encoder sees magnitudes only, so the codes
carry no phase and the decoder makes one up: that keeps them predictable for a language model.
"""

import json
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.functional import melscale_fbanks
from vocos.heads import ISTFTHead
from vocos.models import VocosBackbone

from valle.codec.quantizer import ResidualQuantizer


@dataclass(frozen=True, slots=True, kw_only=True)
class MiniConfig:
    """Shape of the network; lengths in samples unless said otherwise."""

    sample_rate: int = 24_000
    hop_length: int = 320
    window: int = 1280
    num_mels: int = 100
    dim: int = 256
    intermediate_dim: int = 512
    encoder_layers: int = 4
    decoder_layers: int = 8
    latent_dim: int = 64
    num_codebooks: int = 8
    codebook_size: int = 1024

    def to_json(self) -> str:
        """One line, as stored beside the weights."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "MiniConfig":
        """The inverse of `to_json`."""
        return cls(**json.loads(text))


class LogMel(nn.Module):
    """Log-mel magnitudes of whole hops: [B, T * hop] -> [B, mels, T]. Silence pads both ends by (window - hop) / 2."""

    # Quieter than this is not told apart: about 90 dB below a full-scale sine.
    FLOOR = 1e-2

    hann: Tensor
    filters: Tensor

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        self.window, self.hop_length = config.window, config.hop_length
        self.register_buffer("hann", torch.hann_window(config.window), persistent=False)
        filters = melscale_fbanks(
            config.window // 2 + 1, 0.0, config.sample_rate / 2, config.num_mels, config.sample_rate
        )
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Log-mel [B, mels, T] of waveforms [B, T * hop]."""
        margin = (self.window - self.hop_length) // 2
        padded = functional.pad(waveforms, (margin, margin))
        spectrum = torch.stft(
            padded, self.window, self.hop_length, window=self.hann, center=False, return_complex=True
        )  # [B, bins, T]
        mels = self.filters.T @ spectrum.abs()
        return torch.log(mels.clamp(min=self.FLOOR))


class MiniNetwork(nn.Module):
    """Waveforms [B, T * hop] to latents [B, T, D] and back."""

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        self.config = config
        self.log_mel = LogMel(config)
        self.encoder = VocosBackbone(config.num_mels, config.dim, config.intermediate_dim, config.encoder_layers)
        self.to_latent = nn.Linear(config.dim, config.latent_dim)
        self.quantizer = ResidualQuantizer(config.num_codebooks, config.codebook_size, config.latent_dim)
        self.decoder = VocosBackbone(config.latent_dim, config.dim, config.intermediate_dim, config.decoder_layers)
        self.head = ISTFTHead(config.dim, config.window, config.hop_length)

    def encode(self, waveforms: Tensor) -> Tensor:
        """Latents [B, T, D], zero mean and unit variance in every frame, of waveforms [B, T * hop]."""
        latents = self.to_latent(self.encoder(self.log_mel(waveforms)))
        # A fixed scale: neither the noise of the first stage nor the codebooks can be outrun by growing latents.
        return functional.layer_norm(latents, latents.shape[-1:])

    def decode(self, latents: Tensor) -> Tensor:
        """Waveforms [B, T * hop] of latents [B, T, D]."""
        return self.head(self.decoder(latents.transpose(1, 2)))
