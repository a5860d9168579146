"""The network of the embedded codec: log-mel, ConvNeXt encoder, residual quantizer, source-filter decoder.

The backbones are those of the `vocos` package (Siuzdak 2023). The encoder sees magnitudes only, so the codes carry no
phase and the decoder makes one up: that keeps them predictable for a language model.
"""

import json
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.functional import melscale_fbanks
from vocos.models import VocosBackbone

from valle.codec.decoder import SourceFilterDecoder
from valle.codec.fourier import ShortTimeFourier
from valle.codec.quantizer import ResidualQuantizer
from valle.codec.source import NoiseSource


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
    """Log-mel magnitudes [B, mels, T] of spectra [B, T, bins]."""

    # Quieter than this is not told apart: about 90 dB below a full-scale sine.
    FLOOR = 1e-2

    filters: Tensor

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        num_bins = config.window // 2 + 1
        filters = melscale_fbanks(num_bins, 0.0, config.sample_rate / 2, config.num_mels, config.sample_rate)
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, spectrum: Tensor) -> Tensor:
        """Log-mel [B, mels, T] of spectra [B, T, bins]."""
        return torch.log((spectrum.abs() @ self.filters).clamp(min=self.FLOOR)).transpose(1, 2)


class MiniNetwork(nn.Module):
    """Waveforms [B, T * hop] to latents [B, T, D] and back."""

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        self.config = config
        self.fourier = ShortTimeFourier(config.window, config.hop_length)
        self.log_mel = LogMel(config)
        self.encoder = VocosBackbone(config.num_mels, config.dim, config.intermediate_dim, config.encoder_layers)
        self.to_latent = nn.Linear(config.dim, config.latent_dim)
        self.quantizer = ResidualQuantizer(config.num_codebooks, config.codebook_size, config.latent_dim)
        self.decoder = SourceFilterDecoder(
            latent_dim=config.latent_dim,
            dim=config.dim,
            intermediate_dim=config.intermediate_dim,
            num_layers=config.decoder_layers,
            sample_rate=config.sample_rate,
            window=config.window,
            hop=config.hop_length,
        )

    def encode(self, waveforms: Tensor) -> Tensor:
        """Latents [B, T, D] of waveforms [B, T * hop]."""
        return self.encode_mels(self.log_mel(self.fourier(waveforms)))

    def encode_mels(self, mels: Tensor) -> Tensor:
        """Latents [B, T, D], zero mean and unit variance in every frame, of log-mels [B, mels, T]."""
        latents = self.to_latent(self.encoder(mels))
        # A fixed scale: neither the noise of the first stage nor the codebooks can be outrun by growing latents.
        return functional.layer_norm(latents, latents.shape[-1:])

    def decode(self, latents: Tensor) -> Tensor:
        """Waveforms [B, T * hop] of latents [B, T, D]; each clip of a batch gets the noise it gets alone."""
        voice = self.decoder.voice(latents).decide()
        start = torch.zeros(len(latents), 1, dtype=torch.float64, device=latents.device)
        filters = self.decoder(latents)
        voiced = self.decoder.voiced(filters, self.decoder.pulses(voice, start))
        noise = NoiseSource().next(latents.shape[1] * self.config.hop_length).to(latents.device)
        return self.decoder.add_noise(voiced, filters, noise.expand(len(latents), -1))
