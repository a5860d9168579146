"""Predict band energies from latents: pretraining of the decoder's backbone without waveforms.

A step costs half of one through waveforms. The predictor reads the states of the decoder, so the decoder's filters can
be initialised from it.
"""

import math

import torch
from torch import Tensor, nn

from valle.codec.mini.decoder import SourceFilterDecoder
from valle.codec.mini.mels import LogMel
from valle.codec.mini.network import MiniConfig

# Nats below the loudest band of a crop down to which the weight is 1.
_FULL_WEIGHT_NATS = 6.0
# Nats over which the weight falls to its least value.
_FADING_NATS = 4.0
_LEAST_WEIGHT = 0.25
# Log-magnitude of one of two sources of equal power, below their sum.
_HALF_POWER = math.log(2) / 2


class BandPredictor(nn.Module):
    """Predict band energies [B, T, E] from the states [B, T, dim + D] of a decoder."""

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        self.to_energies = nn.Linear(config.dim + config.latent_dim, config.build_features().num_band_energies)

    def forward(self, decoder: SourceFilterDecoder, latents: Tensor) -> Tensor:
        """Return the energies [B, T, E] predicted from latents [B, T, D] by the states of `decoder`."""
        energies: Tensor = self.to_energies(decoder.states(latents))
        return energies

    @torch.no_grad()
    def initialise(self, basis: Tensor, mean: Tensor) -> None:
        """Initialise: project latents by `basis` [D, E] about `mean` [E]; ignore the backbone."""
        self.to_energies.weight.zero_()
        self.to_energies.weight[:, -len(basis) :] = basis.T
        self.to_energies.bias.copy_(mean)

    @torch.no_grad()
    def initialise_filters(self, decoder: SourceFilterDecoder, log_mel: LogMel) -> None:
        """Initialise the filters of pulses and noise from the predicted energies, half of the power each.

        Phase, gains and offsets start at zero. Band energies are interpolated to bins.
        """
        num_bins, num_bands = decoder.harmonics.out_features, log_mel.filters.shape[1]
        wide = LogMel(num_bins=num_bins, num_mels=num_bands, sample_rate=decoder.sample_rate)
        widths = log_mel.filters.sum(0).clamp(min=0.5)
        # Average over the short frames of a hop; noise is louder in longer windows, by the root of their ratio.
        longer = (num_bins - 1) / (len(log_mel.filters) - 1)
        weight = wide.between @ self.to_energies.weight.view(-1, num_bands, self.to_energies.in_features).mean(0)
        mean_energy = self.to_energies.bias.view(-1, num_bands).mean(0)
        bias = wide.to_bins(mean_energy - widths.log()) + math.log(longer) / 2 - _HALF_POWER
        for head in (decoder.harmonics, decoder.noise):
            head.weight.copy_(weight)
            head.bias.copy_(bias)
        # They were learned for another backbone.
        for head in (decoder.phase, decoder.gains, decoder.band_offsets):
            head.weight.zero_()
            head.bias.zero_()


def band_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Return the weighted L1 of band energies [B, T, E]; bands far below the loudest of a crop weigh less."""
    depth = target.amax((1, 2), keepdim=True) - target
    weights = (1 - (depth - _FULL_WEIGHT_NATS) / _FADING_NATS).clamp(_LEAST_WEIGHT, 1)
    return (weights * (predicted - target).abs()).mean()
