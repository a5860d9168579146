"""Encoder and decoder of NVIDIA's audio codec, in the manner of HiFi-GAN.

Sources: Kong et al. 2020 (arXiv 2010.05646), Langman et al. 2024 (arXiv 2406.05298). The names of modules follow the
tensors of NeMo's checkpoints, so that those load without a table of names.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

_KERNELS = (3, 7, 11)
_DILATIONS = (1, 3, 5)
_EDGE_KERNEL = 7

ActivationName = Literal["lrelu", "half_snake"]


class Snake(nn.Module):
    """x + sin(alpha x)^2 / alpha with an alpha per channel: Ziyin et al. 2020 (arXiv 2006.08195)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, channels, 1))

    def forward(self, inputs: Tensor) -> Tensor:
        """Map [B, C, T] to the same shape."""
        return inputs + torch.sin(self.alpha * inputs).square() / (self.alpha + 1e-9)


class HalfSnake(nn.Module):
    """Snake on the first half of the channels, leaky ReLU on the others."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.snake_act = Snake(channels // 2)
        self.lrelu = nn.LeakyReLU()

    def forward(self, inputs: Tensor) -> Tensor:
        """Map [B, C, T] to the same shape."""
        half = inputs.shape[1] // 2
        first, second = inputs[:, :half], inputs[:, half:]
        return torch.cat([self.snake_act(first), self.lrelu(second)], 1)


class Activation(nn.Module):
    """The activation that the checkpoint was trained with."""

    def __init__(self, name: ActivationName, channels: int) -> None:
        super().__init__()
        self.activation = nn.LeakyReLU() if name == "lrelu" else HalfSnake(channels)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map [B, C, T] to the same shape."""
        outputs: Tensor = self.activation(inputs)
        return outputs


class Convolution(nn.Module):
    """A convolution with reflected edges; without a stride it keeps the length."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        padding = (kernel - stride + 1) // 2 if stride > 1 else dilation * (kernel - 1) // 2
        self.conv = nn.Conv1d(
            inputs, outputs, kernel, stride=stride, padding=padding, dilation=dilation, padding_mode="reflect"
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Map [B, C, T] to [B, C', T / stride]."""
        # Reflection needs more frames than it adds; shorter clips repeat their last frame until there are enough.
        missing = int(self.conv.padding[0]) + 1 - inputs.shape[2]
        if missing <= 0:
            outputs: Tensor = self.conv(inputs)
            return outputs
        longer = torch.cat([inputs, inputs[:, :, -1:].expand(-1, -1, missing)], 2)
        kept: Tensor = self.conv(longer)[:, :, : max(1, inputs.shape[2] // self.conv.stride[0])]
        return kept


class Upsampler(nn.Module):
    """A transposed convolution that makes `stride` frames of each."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose1d(
            inputs, outputs, 2 * stride, stride=stride, padding=(stride + 1) // 2, output_padding=stride % 2
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Map [B, C, T] to [B, C', T * stride]."""
        outputs: Tensor = self.conv(inputs)
        return outputs


class ResidualUnit(nn.Module):
    """Two convolutions, the first of them dilated, beside a shortcut."""

    def __init__(self, channels: int, kernel: int, dilation: int, activation: ActivationName) -> None:
        super().__init__()
        self.input_activation = Activation(activation, channels)
        self.skip_activation = Activation(activation, channels)
        self.input_conv = Convolution(channels, channels, kernel, dilation=dilation)
        self.skip_conv = Convolution(channels, channels, kernel)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map [B, C, T] to the same shape."""
        hidden = self.input_conv(self.input_activation(inputs))
        outputs: Tensor = inputs + self.skip_conv(self.skip_activation(hidden))
        return outputs


class ResidualStack(nn.Module):
    """Residual units of one kernel, one after the other, with growing dilation."""

    def __init__(self, channels: int, kernel: int, activation: ActivationName) -> None:
        super().__init__()
        units = [ResidualUnit(channels, kernel, dilation, activation) for dilation in _DILATIONS]
        self.res_blocks = nn.ModuleList(units)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map [B, C, T] to the same shape."""
        for unit in self.res_blocks:
            inputs = unit(inputs)
        return inputs


class ResidualLayer(nn.Module):
    """The mean of a residual stack for each kernel (the receptive field fusion of HiFi-GAN)."""

    def __init__(self, channels: int, activation: ActivationName) -> None:
        super().__init__()
        self.res_blocks = nn.ModuleList(ResidualStack(channels, kernel, activation) for kernel in _KERNELS)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map [B, C, T] to the same shape."""
        outputs = [stack(inputs) for stack in self.res_blocks]
        return torch.stack(outputs).sum(0) / len(outputs)


class Encoder(nn.Module):
    """Encode waveforms [B, T * hop] as latents [B, D, T]."""

    def __init__(self, width: int, strides: Sequence[int], channels: int, activation: ActivationName) -> None:
        super().__init__()
        widths = [channels << depth for depth in range(len(strides) + 1)]
        self.pre_conv = Convolution(1, channels, _EDGE_KERNEL)
        self.res_layers = nn.ModuleList(ResidualLayer(inputs, activation) for inputs in widths[:-1])
        self.activations = nn.ModuleList(Activation(activation, inputs) for inputs in widths[:-1])
        self.down_sample_conv_layers = nn.ModuleList(
            Convolution(inputs, outputs, 2 * stride, stride=stride)
            for (inputs, outputs), stride in zip(pairwise(widths), strides, strict=True)
        )
        self.post_activation = Activation(activation, widths[-1])
        self.post_conv = Convolution(widths[-1], width, _EDGE_KERNEL)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Return the latents [B, D, T] of waveforms [B, T * hop]."""
        hidden = self.pre_conv(waveforms[:, None])
        layers = zip(self.res_layers, self.activations, self.down_sample_conv_layers, strict=True)
        for residual, activation, down_sample in layers:
            hidden = down_sample(activation(residual(hidden)))
        latents: Tensor = self.post_conv(self.post_activation(hidden))
        return latents


class Decoder(nn.Module):
    """Decode latents [B, D, T] to waveforms [B, T * hop]."""

    def __init__(self, width: int, strides: Sequence[int], channels: int, activation: ActivationName) -> None:
        super().__init__()
        widths = [channels >> depth for depth in range(len(strides) + 1)]
        self.strides = tuple(strides)
        self.pre_conv = Convolution(width, channels, _EDGE_KERNEL)
        self.activations = nn.ModuleList(Activation(activation, inputs) for inputs in widths[:-1])
        self.up_sample_conv_layers = nn.ModuleList(
            Upsampler(inputs, outputs, stride)
            for (inputs, outputs), stride in zip(pairwise(widths), strides, strict=True)
        )
        self.res_layers = nn.ModuleList(ResidualLayer(outputs, activation) for outputs in widths[1:])
        self.post_activation = Activation(activation, widths[-1])
        self.post_conv = Convolution(widths[-1], 1, 3)

    @property
    def context(self) -> int:
        """Return the frames to each side that reach into the samples of one."""
        reach, rate = _EDGE_KERNEL / 2, 1
        # The widest stack: a dilated and a plain convolution for each dilation.
        stack = sum((dilation + 1) * (max(_KERNELS) // 2) for dilation in _DILATIONS)
        for stride in self.strides:
            reach += 1 / rate
            rate *= stride
            reach += stack / rate
        return math.ceil(reach + 1 / rate)

    def forward(self, latents: Tensor) -> Tensor:
        """Return the waveforms [B, T * hop] of latents [B, D, T], within -1..1."""
        hidden = self.pre_conv(latents)
        layers = zip(self.activations, self.up_sample_conv_layers, self.res_layers, strict=True)
        for activation, up_sample, residual in layers:
            hidden = residual(up_sample(activation(hidden)))
        waveforms: Tensor = self.post_conv(self.post_activation(hidden))[:, 0].clamp(-1, 1)
        return waveforms
