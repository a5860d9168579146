"""The network of the embedded codec: log-mel, ConvNeXt encoder, residual quantizer, ConvNeXt decoder, inverse STFT.

Backbone and head are those of Vocos (Siuzdak 2023, `vocos` package). The encoder sees magnitudes only, so the codes
carry no phase and the decoder makes one up: that keeps them predictable for a language model.
"""

import json
import math
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
    # Rounds of Griffin and Lim (1984) after the inverse STFT; they are trained through.
    phase_rounds: int = 1

    def to_json(self) -> str:
        """One line, as stored beside the weights."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "MiniConfig":
        """The inverse of `to_json`."""
        return cls(**json.loads(text))


# Largest natural logarithm of a magnitude that the decoder may ask for.
LOUDEST = math.log(100.0)


def modulus(spectrum: Tensor) -> Tensor:
    """Absolute value of a complex tensor, with a gradient at zero too."""
    return (spectrum.real.square() + spectrum.imag.square() + 1e-8).sqrt()


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

    def spectrum(self, waveforms: Tensor) -> Tensor:
        """Complex spectrum [B, bins, T] of waveforms [B, T * hop]."""
        margin = (self.window - self.hop_length) // 2
        padded = functional.pad(waveforms, (margin, margin))
        return torch.stft(padded, self.window, self.hop_length, window=self.hann, center=False, return_complex=True)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Log-mel [B, mels, T] of waveforms [B, T * hop]."""
        mels = self.filters.T @ self.spectrum(waveforms).abs()
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

    def spectrum(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """(log-magnitude, phase in radians), each [B, bins, T], that the decoder makes of latents [B, T, D]."""
        out = self.head.out(self.decoder(latents.transpose(1, 2))).transpose(1, 2)
        log_magnitude, phase = out.chunk(2, dim=1)
        return log_magnitude.clamp(max=LOUDEST), phase

    def synthesise(self, log_magnitude: Tensor, phase: Tensor) -> Tensor:
        """Waveforms [B, T * hop] of a spectrum, its phase made consistent by Griffin-Lim rounds."""
        magnitude = log_magnitude.exp()
        waveforms = self.head.istft(torch.polar(magnitude, phase))
        for _ in range(self.config.phase_rounds):
            spectrum = self.log_mel.spectrum(waveforms)
            waveforms = self.head.istft(spectrum * (magnitude / modulus(spectrum)))
        return waveforms

    def decode(self, latents: Tensor) -> Tensor:
        """Waveforms [B, T * hop] of latents [B, T, D]."""
        return self.synthesise(*self.spectrum(latents))
