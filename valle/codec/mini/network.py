"""The network of the embedded codec: features, linear transform, residual quantizer, source-filter decoder, correction.

The transform uses magnitudes only, so the codes carry no phase and the decoder synthesizes one: that keeps the codes
predictable for a language model.
"""

import json
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from valle.codec.mini.correction import BandCorrection
from valle.codec.mini.decoder import Filters, SourceFilterDecoder
from valle.codec.mini.features import SpeechFeatures
from valle.codec.mini.frame_filter import FrameFilter
from valle.codec.mini.quantizer import ResidualQuantizer
from valle.codec.mini.source import NoiseSource


@dataclass(frozen=True, slots=True, kw_only=True)
class MiniConfig:
    """Shape of the network; lengths are in samples unless noted."""

    sample_rate: int = 24_000
    hop_length: int = 320
    window: int = 1280
    short_window: int = 640
    frames_per_hop: int = 2
    num_bands: int = 40
    pitch_bands: int = 30
    dim: int = 256
    intermediate_dim: int = 512
    decoder_layers: int = 8
    latent_dim: int = 64
    num_codebooks: int = 8
    codebook_size: int = 1024

    def to_json(self) -> str:
        """Return the configuration as one line of JSON, stored in the header of the weights."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "MiniConfig":
        """Parse the output of `to_json`."""
        return cls(**json.loads(text))

    def build_features(self) -> SpeechFeatures:
        """Build the feature extractor of this configuration."""
        return SpeechFeatures(
            sample_rate=self.sample_rate,
            hop=self.hop_length,
            window=self.window,
            short_window=self.short_window,
            frames_per_hop=self.frames_per_hop,
            num_bands=self.num_bands,
            pitch_bands=self.pitch_bands,
        )


MINI_44KHZ = MiniConfig(
    sample_rate=44_100,
    hop_length=588,  # 75 frames a second, as at 24 kHz
    window=2352,
    short_window=1176,
    num_bands=50,  # as narrow as the 40 up to 12 kHz
    pitch_bands=24,  # up to 0.9 kHz, as the 30 at 24 kHz
)
"""Shape of `mini_44khz`: windows of the same durations and bands of the same widths as `mini`."""


class MiniNetwork(nn.Module):
    """Encode waveforms [B, T * hop] as latents [B, T, D] and decode them."""

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        self.config = config
        self.features = config.build_features()
        self.transform = FrameFilter(self.features.size, config.latent_dim).requires_grad_(False)
        self.quantizer = ResidualQuantizer(config.num_codebooks, config.codebook_size, config.latent_dim)
        self.decoder = SourceFilterDecoder(
            latent_dim=config.latent_dim,
            dim=config.dim,
            intermediate_dim=config.intermediate_dim,
            num_layers=config.decoder_layers,
            sample_rate=config.sample_rate,
            window=config.window,
            hop=config.hop_length,
            num_band_energies=self.features.num_band_energies,
        )
        self.correction = BandCorrection(self.features, config.latent_dim)

    def encode(self, waveforms: Tensor) -> Tensor:
        """Return latents [B, T, D] of waveforms [B, T * hop]."""
        latents: Tensor = self.transform(self.features(waveforms))
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """Return waveforms [B, T * hop] of latents [B, T, D]; a clip gets equal noise alone and in a batch."""
        filters = self.decoder(latents)
        return self.correction(self.synthesize(latents, filters), self.target_band_energies(latents, filters))

    def target_band_energies(self, latents: Tensor, filters: Filters) -> Tensor:
        """Return the band energies [B, T, E] that speech is corrected to: predicted from latents, plus the offsets."""
        energies: Tensor = self.correction.band_filter(latents) + filters.band_offsets
        return energies

    def synthesize(self, latents: Tensor, filters: Filters) -> Tensor:
        """Return waveforms [B, T * hop] before the correction, from latents [B, T, D] and their filters."""
        pitch = self.decoder.pitch(latents).decide()
        start = torch.zeros(len(latents), 1, dtype=torch.float64, device=latents.device)
        voiced = self.decoder.voiced(filters, self.decoder.pulses(pitch, start))
        noise = NoiseSource().next(latents.shape[1] * self.config.hop_length).to(latents.device)
        return self.decoder.add_noise(voiced, filters, noise.expand(len(latents), -1))
