"""Compute the codes of `mini`: a linear transform and codebooks, both from speech without gradient descent.

The transform takes principal components of the features and whitens each in part over time. K-means computes the
codebooks, and least squares the reconstruction filter that initialises the decoder. A filter H before a memoryless
quantizer and 1 / H after it leave an error of mean(S |H|^2) mean(1 / |H|^2) for a power spectrum S. By the
Cauchy-Schwarz inequality it is least where |H|^2 is the reciprocal root of S: whitening by half. `mini` whitens a
little less, because whitening decorrelates neighbouring frames and a language model has to predict their codes.
"""

import torch
from torch import Tensor
from torch.nn import functional

from valle.codec.mini.frame_filter import FrameFilter
from valle.codec.mini.network import MiniNetwork
from valle.codec_training.band_predictor import BandPredictor

# Exponent of the power spectrum that is divided out; 0.5 would be optimal for reconstruction alone.
_WHITENING = 0.35
# Power floor of a component's spectrum, in squared nats.
_FLOOR = 1e-2
# Ridge of the least squares, relative to the mean power of the inputs.
_RIDGE = 1e-3


def partial_whitening(components: Tensor, num_taps: int) -> Tensor:
    """Return zero-phase filters [K, taps] that flatten the temporal spectra of components [B, T, K] in part.

    Each is normalised so that white noise added after the filter keeps its power through the inverse filter.
    """
    window = torch.hann_window(components.shape[1])[:, None]
    length = max(components.shape[1], 4 * num_taps)
    power = torch.fft.rfft(components * window, length, dim=1).abs().square().mean(0) / window.square().sum()
    response = (power + _FLOOR) ** (-_WHITENING / 2)  # [F, K]
    response = response * response.reciprocal().square().mean(0).sqrt()
    taps = torch.fft.irfft(response.to(torch.complex64), length, dim=0).roll(num_taps // 2, 0)[:num_taps]
    return (taps * torch.hann_window(num_taps + 2, periodic=False)[1:-1, None]).T.contiguous()


def least_squares_filter(inputs: Tensor, targets: Tensor, num_taps: int) -> Tensor:
    """Return the filter [outputs, inputs, taps] from inputs [B, T, K] to targets [B, T, outputs] of least squares."""
    size = inputs.shape[2] * num_taps
    gram, products = torch.zeros(size, size), torch.zeros(size, targets.shape[2])
    for some, target in zip(torch.split(inputs, 64), torch.split(targets, 64), strict=True):
        padded = functional.pad(some.transpose(1, 2), (num_taps // 2, num_taps // 2), mode="replicate")
        windows = padded.unfold(2, num_taps, 1).transpose(1, 2).flatten(2).flatten(0, 1)  # [B * T, K * taps]
        gram += windows.T @ windows
        products += windows.T @ target.flatten(0, 1)
    gram.diagonal().add_(_RIDGE * gram.diagonal().mean())
    return torch.linalg.solve(gram, products).T.unflatten(1, (-1, num_taps))


@torch.no_grad()
def fit_codes(
    network: MiniNetwork, predictor: BandPredictor, features: Tensor, *, num_rounds: int, generator: torch.Generator
) -> None:
    """Compute transform, codebooks and reconstruction filter of `network` from features [B, T, F].

    `predictor` is initialised to the reconstruction filter alone. `num_rounds` is the number of rounds of k-means.
    """
    latent_dim = network.config.latent_dim
    mean = features.mean((0, 1))
    basis = torch.linalg.svd((features - mean).flatten(0, 1), full_matrices=False).Vh[:latent_dim]  # [K, F]
    components = (features - mean) @ basis.T
    whitening = partial_whitening(components, FrameFilter.NUM_TAPS)
    network.transform.set(torch.einsum("kt,kf->kft", whitening, basis), mean=mean)
    # Latents of unit variance suit the initialisation of the decoder's networks.
    scale = network.transform(features).square().mean().sqrt()
    network.transform.set(torch.einsum("kt,kf->kft", whitening / scale, basis), mean=mean)

    latents = network.transform(features)
    codes = network.quantizer.fit(latents.flatten(0, 1), num_rounds=num_rounds, generator=generator)
    quantized = network.quantizer.decode(codes).view_as(latents)
    back = least_squares_filter(quantized, components, FrameFilter.NUM_TAPS)  # [K, K, taps]
    network.decoder.inverse.set(back)
    num_energies = network.features.num_band_energies  # The features after these serve the pitch alone.
    network.correction.band_filter.set(
        torch.einsum("kf,kjt->fjt", basis[:, :num_energies], back), offset=mean[:num_energies]
    )
    predictor.initialise(basis[:, :num_energies], mean[:num_energies])
