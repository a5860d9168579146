"""The network of the embedded codec: log-mel, ConvNeXt encoder, residual quantizer, ConvNeXt decoder, inverse STFT.

Backbone and head follow Vocos (Siuzdak 2023; the backbone is the one of the `vocos` package). The encoder sees
magnitudes only, so the codes carry no phase and the decoder makes one up: that keeps them predictable for a language
model.
"""

import json
import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.functional import melscale_fbanks
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


class ShortTimeFourier(nn.Module):
    """Waveforms of whole hops [B, T * hop] to spectra [B, T, bins] and back.

    Silence pads both ends by (window - hop) / 2, so that every hop has a frame centred on it. torch.istft cannot undo
    that padding, and the `fold` of Vocos' head is ten times slower than adding shifted hops.
    """

    hann: Tensor

    def __init__(self, window: int, hop_length: int) -> None:
        super().__init__()
        assert window % hop_length == 0, "frames must overlap by whole hops"
        self.window, self.hop_length = window, hop_length
        self.margin = (window - hop_length) // 2
        self.register_buffer("hann", torch.hann_window(window), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Complex spectrum [B, T, bins] of waveforms [B, T * hop]."""
        padded = functional.pad(waveforms, (self.margin, self.margin))
        return torch.fft.rfft(padded.unfold(1, self.window, self.hop_length) * self.hann)

    def _overlap_add(self, frames: Tensor) -> Tensor:
        batch, num_frames, _ = frames.shape
        overlap = self.window // self.hop_length
        hops = frames.view(batch, num_frames, overlap, self.hop_length)
        total = torch.zeros(batch, num_frames + overlap - 1, self.hop_length, device=frames.device)
        for shift in range(overlap):
            total[:, shift : shift + num_frames] += hops[:, :, shift]
        return total.flatten(1)[:, self.margin : -self.margin]

    def envelope(self, num_frames: int) -> Tensor:
        """What overlapping windows sum to, [1, T * hop]: the divisor of `inverse`, the same for all spectra of T."""
        return self._overlap_add(self.hann.square().expand(1, num_frames, -1).contiguous())

    def inverse(self, spectrum: Tensor, envelope: Tensor) -> Tensor:
        """Waveforms [B, T * hop] whose spectrum is nearest to `spectrum` [B, T, bins] (Griffin and Lim 1984, eq. 6)."""
        return self._overlap_add(torch.fft.irfft(spectrum, self.window) * self.hann) / envelope


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
        self.decoder = VocosBackbone(config.latent_dim, config.dim, config.intermediate_dim, config.decoder_layers)
        # A log-magnitude and a phase for every bin.
        self.head = nn.Linear(config.dim, config.window + 2)

    def encode(self, waveforms: Tensor) -> Tensor:
        """Latents [B, T, D], zero mean and unit variance in every frame, of waveforms [B, T * hop]."""
        latents = self.to_latent(self.encoder(self.log_mel(self.fourier(waveforms))))
        # A fixed scale: neither the noise of the first stage nor the codebooks can be outrun by growing latents.
        return functional.layer_norm(latents, latents.shape[-1:])

    def spectrum(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """(log-magnitude, phase in radians), each [B, T, bins], that the decoder makes of latents [B, T, D]."""
        log_magnitude, phase = self.head(self.decoder(latents.transpose(1, 2))).chunk(2, dim=2)
        return log_magnitude.clamp(max=LOUDEST), phase

    def synthesise(self, log_magnitude: Tensor, phase: Tensor) -> Tensor:
        """Waveforms [B, T * hop] of a spectrum, its phase made consistent by Griffin-Lim rounds."""
        magnitude = log_magnitude.exp()
        envelope = self.fourier.envelope(magnitude.shape[1])
        waveforms = self.fourier.inverse(torch.polar(magnitude, phase), envelope)
        for _ in range(self.config.phase_rounds):
            spectrum = self.fourier(waveforms)
            waveforms = self.fourier.inverse(spectrum * (magnitude / modulus(spectrum)), envelope)
        return waveforms

    def decode(self, latents: Tensor) -> Tensor:
        """Waveforms [B, T * hop] of latents [B, T, D]."""
        return self.synthesise(*self.spectrum(latents))
