"""Short-time Fourier transforms as products with matrices.

ONNX has no complex numbers and its runtime no fast Fourier transform of real frames, so a spectrum is a pair of real
tensors.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from valle.codec.mini.fourier import ShortTimeFourier

Spectrum = tuple[Tensor, Tensor]
"""Real and imaginary part, [1, T, bins] each."""


class Fourier(nn.Module):
    """The transforms of `ShortTimeFourier` by matrices."""

    def __init__(self, original: ShortTimeFourier) -> None:
        super().__init__()
        self.original = original
        window = original.window
        bins = window // 2 + 1
        angles = 2 * math.pi * torch.outer(torch.arange(window), torch.arange(bins)).remainder(window).double() / window
        self.cosine, self.sine = nn.Buffer(angles.cos().float()), nn.Buffer(angles.sin().float())
        weights = torch.full((bins,), 2.0 / window)
        weights[0] = weights[-1] = 1 / window
        self.inverse_cosine = nn.Buffer(angles.cos().float().T * weights[:, None])
        self.inverse_sine = nn.Buffer(angles.sin().float().T * weights[:, None])

    def transform(self, frames: Tensor) -> Spectrum:
        """Return the spectra of frames [1, T, window]."""
        return frames @ self.cosine, -(frames @ self.sine)

    def analyse(self, waveform: Tensor) -> Spectrum:
        """Return the spectrum of a waveform [1, T * hop]; see `ShortTimeFourier.forward`."""
        original = self.original
        padded = functional.pad(waveform, (original.margin, original.margin))
        hops = padded.view(1, -1, original.hop_length)
        overlap = original.window // original.hop_length
        count = waveform.shape[1] // original.hop_length
        # Both margins together are whole hops, so the windows are neighbouring hops.
        frames = torch.cat([hops[:, shift : shift + count] for shift in range(overlap)], 2)
        return self.transform(frames * original.hann)

    def invert(self, spectrum: Spectrum) -> Tensor:
        """Return the frames [1, T, window] of a spectrum."""
        real, imaginary = spectrum
        return real @ self.inverse_cosine - imaginary @ self.inverse_sine

    def synthesize(self, spectrum: Spectrum, envelope: Tensor) -> Tensor:
        """Return the waveform of a spectrum; see `ShortTimeFourier.inverse`."""
        return self.overlap_add(self.invert(spectrum) * self.original.hann) / envelope

    def envelope(self, count: int) -> Tensor:
        """Return the divisor of `synthesize` for frames."""
        return self.overlap_add(self.original.hann.square().expand(1, count, -1))

    def overlap_add(self, frames: Tensor) -> Tensor:
        """Add overlapping frames [1, T, window]: [1, T * hop]."""
        hop, overlap = self.original.hop_length, self.original.window // self.original.hop_length
        hops = frames.view(frames.shape[0], frames.shape[1], overlap, hop)
        total = torch.stack(
            [functional.pad(hops[:, :, shift], (0, 0, shift, overlap - 1 - shift)) for shift in range(overlap)]
        ).sum(0)
        return total.flatten(1)[:, self.original.margin : -self.original.margin]
