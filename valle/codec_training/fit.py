"""What makes the codes of `mini`: a linear transform and codebooks, both computed from speech without descent.

Principal components of the features, each whitened over time in part, codebooks by k-means on that, and the filter of
least squares back, which the decoder begins with. A filter H before a quantizer without memory and 1 / H after it leave
an error of mean(S |H|^2) mean(1 / |H|^2) for a power spectrum S, which is least (by Cauchy and Schwarz) where |H|^2 is
one by the root of S: half of whitening. `mini` has a little less of it, since the more is whitened, the less have
neighbouring frames and their codes in common, and a language model has to predict them.
"""

import torch
from torch import Tensor
from torch.nn import functional

from valle.codec.mini.frame_filter import FrameFilter
from valle.codec.mini.network import MiniNetwork
from valle.codec_training.band_predictor import LevelReader

_WHITENING = 0.35
"""The power spectrum of a component is divided by itself to this power; 0.5 would be best for the sound alone."""
_FLOOR = 1e-2
"""Power, in squared nats, below which a frequency of a component is taken for noise."""
_RIDGE = 1e-3
"""Share of the mean power of the inputs that is added to each in the least squares."""


def part_whitening(components: Tensor, num_taps: int) -> Tensor:
    """Zero-phase filters [K, taps] that flatten the spectra over time of the components [B, T, K] in part.

    They are scaled so that white errors behind each filter are equally loud before it, on average of frequencies.
    """
    window = torch.hann_window(components.shape[1])[:, None]
    length = max(components.shape[1], 4 * num_taps)
    power = torch.fft.rfft(components * window, length, dim=1).abs().square().mean(0) / window.square().sum()
    response = (power + _FLOOR) ** (-_WHITENING / 2)  # [F, K]
    response = response * response.reciprocal().square().mean(0).sqrt()
    taps = torch.fft.irfft(response.to(torch.complex64), length, dim=0).roll(num_taps // 2, 0)[:num_taps]
    return (taps * torch.hann_window(num_taps + 2, periodic=False)[1:-1, None]).T.contiguous()


def least_squares_filter(inputs: Tensor, targets: Tensor, num_taps: int) -> Tensor:
    """Filter [outputs, inputs, taps] that brings inputs [B, T, K] nearest to the targets [B, T, outputs]."""
    size = inputs.shape[2] * num_taps
    gram, products = torch.zeros(size, size), torch.zeros(size, targets.shape[2])
    for some, wanted in zip(torch.split(inputs, 64), torch.split(targets, 64), strict=True):
        padded = functional.pad(some.transpose(1, 2), (num_taps // 2, num_taps // 2), mode="replicate")
        seen = padded.unfold(2, num_taps, 1).transpose(1, 2).flatten(2).flatten(0, 1)  # [B * T, K * taps]
        gram += seen.T @ seen
        products += seen.T @ wanted.flatten(0, 1)
    gram.diagonal().add_(_RIDGE * gram.diagonal().mean())
    return torch.linalg.solve(gram, products).T.unflatten(1, (-1, num_taps))


@torch.no_grad()
def fit_codes(
    network: MiniNetwork, reader: LevelReader, features: Tensor, *, num_rounds: int, generator: torch.Generator
) -> None:
    """Compute transform and codebooks of `network` from features [B, T, F], and what leads back.

    `reader` then reads levels off the codes by the filter back alone. `num_rounds` is how many rounds k-means has.
    """
    latent_dim = network.config.latent_dim
    mean = features.mean((0, 1))
    basis = torch.linalg.svd((features - mean).flatten(0, 1), full_matrices=False).Vh[:latent_dim]  # [K, F]
    components = (features - mean) @ basis.T
    whitening = part_whitening(components, FrameFilter.NUM_TAPS)
    network.transform.set(torch.einsum("kt,kf->kft", whitening, basis), mean=mean)
    # Latents of unit variance: the scale at which the networks of the decoder begin well.
    scale = network.transform(features).square().mean().sqrt()
    network.transform.set(torch.einsum("kt,kf->kft", whitening / scale, basis), mean=mean)

    latents = network.transform(features)
    codes = network.quantizer.fit(latents.flatten(0, 1), num_rounds=num_rounds, generator=generator)
    quantized = network.quantizer.decode(codes).view_as(latents)
    back = least_squares_filter(quantized, components, FrameFilter.NUM_TAPS)  # [K, K, taps]
    network.decoder.inverse.set(back)
    heard = network.features.num_levels  # What follows the levels is for the pitch alone.
    network.correction.reading.set(torch.einsum("kf,kjt->fjt", basis[:, :heard], back), offset=mean[:heard])
    reader.begin(basis[:, :heard], mean[:heard])
