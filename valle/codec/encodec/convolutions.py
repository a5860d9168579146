"""The causal convolutions of EnCodec's encoder, arranged for a CPU: the activation is written into the padded input.

The package `encodec` pads by copying, a convolution of one sample too, and torch computes `expm1` for one number at a
time: together they take as long as the products. Results equal those of the package within the precision of floats.
"""

from collections.abc import Sequence

import torch
from encodec.modules import SConv1d
from encodec.modules.conv import get_extra_padding_for_conv1d, pad1d
from encodec.modules.seanet import SEANetResnetBlock
from torch import Tensor, nn
from torch.nn import functional


class FastElu(nn.Module):
    """Compute max(x, exp(x) - 1) for negative x and x for positive, within 6e-8 of `nn.ELU`."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the activations of `inputs`, of the same shape."""
        return torch.maximum(inputs, _negative_part(inputs)) if inputs.is_cpu else functional.elu(inputs)


def elu_into(inputs: Tensor, outputs: Tensor) -> None:
    """Write the activations of `inputs` into `outputs`, of the same shape."""
    if inputs.is_cpu:
        torch.maximum(inputs, _negative_part(inputs), out=outputs)
    else:
        outputs.copy_(functional.elu(inputs))


def _negative_part(inputs: Tensor) -> Tensor:
    """Return exp(x) - 1 for negative x, else 0; the maximum with x repairs what the subtraction cancels next to 0."""
    return inputs.clamp(max=0).exp_().sub_(1)


def replace_elus(module: nn.Module) -> None:
    """Replace each `nn.ELU` of slope 1 below `module`, for inference: `FastElu` overwrites what a gradient needs."""
    for name, child in module.named_children():
        if isinstance(child, nn.ELU) and child.alpha == 1:
            setattr(module, name, FastElu())
        else:
            replace_elus(child)


class CausalConvolution(nn.Module):
    """A convolution of the package with its padding by reflection, of inputs [B, C, T] or of their activations."""

    def __init__(self, layer: SConv1d, *, is_activated: bool) -> None:
        super().__init__()
        self.convolution: nn.Conv1d = layer.conv.conv
        self.is_activated = is_activated
        kernel, stride = self.convolution.kernel_size[0], self.convolution.stride[0]
        self.padding = (kernel - 1) * self.convolution.dilation[0] - (stride - 1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs [B, C', T'] of inputs [B, C, T]."""
        outputs: Tensor = self.convolution(self._padded(inputs))
        return outputs

    def _padded(self, inputs: Tensor) -> Tensor:
        left, length = self.padding, inputs.shape[2]
        kernel, stride = self.convolution.kernel_size[0], self.convolution.stride[0]
        right = int(get_extra_padding_for_conv1d(inputs, kernel, stride, left))
        if length <= max(left, right):
            # Too short for a reflection: the package adds zeros first.
            activated = FastElu()(inputs) if self.is_activated else inputs
            short: Tensor = pad1d(activated, (left, right), mode="reflect")
            return short
        if left + right == 0 and not self.is_activated:
            return inputs
        padded = inputs.new_empty(*inputs.shape[:2], left + length + right)
        middle = padded[:, :, left : left + length]
        if self.is_activated:
            elu_into(inputs, middle)
        else:
            middle.copy_(inputs)
        padded[:, :, :left] = middle[:, :, 1 : left + 1].flip(2)
        padded[:, :, left + length :] = middle[:, :, length - right - 1 : length - 1].flip(2)
        return padded


class ResidualBlock(nn.Module):
    """The two convolutions of a block of the package beside its shortcut."""

    def __init__(self, block: SEANetResnetBlock) -> None:
        super().__init__()
        _, first, _, second = block.block
        self.block = nn.Sequential(
            CausalConvolution(first, is_activated=True), CausalConvolution(second, is_activated=True)
        )
        self.shortcut = CausalConvolution(block.shortcut, is_activated=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs [B, C, T] of inputs [B, C, T]."""
        outputs: Tensor = self.block(inputs)
        return outputs.add_(self.shortcut(inputs))


def arrange_convolutions(layers: Sequence[nn.Module]) -> nn.Sequential:
    """Return the layers of an encoder, each activation joined to the convolution after it; weights are shared."""
    arranged: list[nn.Module] = []
    is_activated = False
    for layer in layers:
        if isinstance(layer, SConv1d):
            arranged.append(CausalConvolution(layer, is_activated=is_activated))
        elif isinstance(layer, SEANetResnetBlock):
            arranged.append(ResidualBlock(layer))
        is_activated = isinstance(layer, nn.ELU | FastElu)
    return nn.Sequential(*arranged)
