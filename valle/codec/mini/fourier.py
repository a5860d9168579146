"""Short-time Fourier transform of whole hops, and its inverse."""

import torch
from torch import Tensor, nn
from torch.nn import functional


def modulus(spectrum: Tensor) -> Tensor:
    """Return the absolute value of a complex tensor, with a finite gradient at zero."""
    return (spectrum.real.square() + spectrum.imag.square() + 1e-8).sqrt()


class ShortTimeFourier(nn.Module):
    """Transform waveforms of whole hops [B, T * hop] to spectra [B, T, bins] and back.

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
        """Return the complex spectrum [B, T, bins] of waveforms [B, T * hop]."""
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
        """Return the sum of the overlapping squared windows [1, T * hop]: the divisor of `inverse` for T frames."""
        return self._overlap_add(self.hann.square().expand(1, num_frames, -1).contiguous())

    def inverse(self, spectrum: Tensor, envelope: Tensor) -> Tensor:
        """Return waveforms [B, T * hop] with the spectrum nearest to `spectrum` (Griffin and Lim 1984, eq. 6)."""
        return self._overlap_add(torch.fft.irfft(spectrum, self.window) * self.hann) / envelope
