"""The decoder of the embedded codec as one graph: codes and noise in, a waveform out.

Spectra are pairs of real tensors; the parts with weights are those of the codec. The noise is an input:
`valle.codec.mini.source.NoiseSource` draws it.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from valle.codec.mini.decoder import GAINS_PER_HOP, Filters
from valle.codec.mini.network import MiniNetwork
from valle.codec.mini.pitch import PitchLogits, PitchNetwork
from valle.codec.mini.source import cycles, every_sample, pulses, sample_pitch
from valle.interchange.onnx.fourier import Fourier, Spectrum

INPUTS = ("codes", "noise")
"""Codes [K, T], and noise of unit variance, [T * hop]."""


def _multiply(one: Spectrum, other: Spectrum) -> Spectrum:
    return one[0] * other[0] - one[1] * other[1], one[0] * other[1] + one[1] * other[0]


def _scaled(spectrum: Spectrum, factor: Tensor | float) -> Spectrum:
    return spectrum[0] * factor, spectrum[1] * factor


class MiniGraph(nn.Module):
    """`MiniNetwork.decode` of one clip, in operations that ONNX Runtime has."""

    def __init__(self, network: MiniNetwork) -> None:
        super().__init__()
        self.network = network
        self.long = Fourier(network.decoder.fourier)
        self.short = Fourier(network.features.fourier)

    def forward(self, codes: Tensor, noise: Tensor) -> Tensor:
        """Return the waveform [T * hop], within -1..1; see `INPUTS`."""
        network, decoder = self.network, self.network.decoder
        latents = network.quantizer.decode(codes)[None]
        filters: Filters = decoder(latents)
        pitch = _pitch_logits(decoder.pitch, latents).decide()
        sampled = sample_pitch(pitch, network.config.hop_length)
        start = torch.zeros(1, 1, dtype=torch.float64)
        train = pulses(sampled, cycles(sampled, start, decoder.sample_rate), decoder.sample_rate)
        voiced = self._voiced(filters, train)
        breath = self._filtered(noise[None], filters.noise_gains)
        breath = _scaled(breath, filters.noise.exp())
        total = voiced[0] + breath[0], voiced[1] + breath[1]
        waveform = self.long.synthesize(total, self.long.envelope(codes.shape[1]))
        return self._corrected(waveform, network.target_band_energies(latents, filters))[0].clamp(-1, 1)

    def _filtered(self, source: Tensor, log_gains: Tensor) -> Spectrum:
        """Return the spectrum of a source [1, N] with its gains, in units of white noise."""
        decoder = self.network.decoder
        gains = every_sample(log_gains.flatten(1), decoder.fourier.hop_length // GAINS_PER_HOP).exp()
        return _scaled(self.long.analyse(source * gains), 1 / decoder.noise_magnitude)

    def _voiced(self, filters: Filters, train: Tensor) -> Spectrum:
        harmonics = filters.harmonics
        cepstrum = self.long.invert((harmonics, torch.zeros_like(harmonics)))
        phase = self.long.transform(cepstrum * self.network.decoder.causal_half)[1] + filters.phase
        response = _scaled((phase.cos(), phase.sin()), harmonics.exp())
        return _multiply(self._filtered(train, filters.pulse_gains), response)

    def _corrected(self, waveform: Tensor, energies: Tensor) -> Tensor:
        """Scale the bands; see `BandCorrection`."""
        correction, mel = self.network.correction, self.network.features.log_mel
        targets = energies.reshape(1, -1, self.network.features.num_bands)
        envelope = self.short.envelope(targets.shape[1])
        for _ in range(correction.ROUNDS):
            spectrum = self.short.analyse(waveform)
            magnitude = (spectrum[0].square() + spectrum[1].square()).sqrt()
            gains = correction.gains(targets, mel.of_magnitudes(magnitude))
            waveform = self.short.synthesize(_scaled(spectrum, mel.to_bins(gains).exp()), envelope)
        return waveform


def _pitch_logits(network: PitchNetwork, latents: Tensor) -> PitchLogits:
    """Return the logits of `PitchNetwork`: its convolutions in fp64 as products, which ONNX Runtime has for fp64."""
    hidden = latents.double()
    layers = [layer for layer in [*network.layers, network.out] if isinstance(layer, nn.Conv1d)]
    for layer in layers:
        assert layer.bias is not None
        taps = layer.weight.shape[2]
        padded = functional.pad(hidden, (0, 0, taps // 2, taps // 2))
        length = hidden.shape[1]
        windows = torch.cat([padded[:, tap : tap + length] for tap in range(taps)], 2)
        weight = layer.weight.double().permute(2, 1, 0).flatten(0, 1)
        hidden = windows @ weight + layer.bias.double()
        if layer is not layers[-1]:
            # The runtime has the error function for fp32 alone.
            hidden = hidden * 0.5 * (1 + torch.erf((hidden / math.sqrt(2)).float()).double())
    return PitchLogits(hidden[..., :-1], hidden[..., -1])
