"""Linear layers of a trunk in 8 bits, for speech on a CPU: a quarter of the bytes, and faster products of many rows."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from valle.model.trunks.cpu.few_rows import FewRowsLinear
from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from valle.model.valle import ValleModel

Floats = NDArray[np.float32]
_ENGINE = "fbgemm"
# The largest magnitude of a row of zeros.
_LEAST = 1e-12


class Int8Linear(nn.Module):
    """A linear layer by torch's dynamic quantization: weights with a scale per output, inputs with one per row.

    The library has one scale for all rows, from their smallest and largest number. So rows are divided by their largest
    magnitude, and one more row has both ends: the scale is then a constant, and no row depends on the others.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        weight = layer.weight.detach().float()
        scales = weight.abs().amax(1).clamp(min=_LEAST).double() / 127
        with warnings.catch_warnings():
            # These tensors are to leave torch at some time; the range of versions of this project has them.
            warnings.filterwarnings("ignore", message=".*quantized tensor creation")
            rounded = torch.quantize_per_channel(
                weight, scales, torch.zeros(len(scales), dtype=torch.long), 0, torch.qint8
            )
        self._packed = torch.ops.quantized.linear_prepack(rounded, None)
        # Without VNNI the products of the library overflow with inputs of 8 bits, and have 7.
        self._reduces_range = not torch.cpu._is_vnni_supported()
        self._bias = None if layer.bias is None else layer.bias.detach().numpy()

    def multiply(self, x: Floats) -> Floats:
        """Multiply x [n, inputs] by the weights, plus the bias: [n, outputs]."""
        largest = np.maximum(np.abs(x).max(axis=1, keepdims=True), _LEAST)
        scaled = np.zeros((len(x) + 1, self.in_features), dtype=np.float32)
        np.divide(x, largest, out=scaled[:-1])
        scaled[-1, :2] = 1, -1
        outputs = torch.ops.quantized.linear_dynamic(torch.from_numpy(scaled), self._packed, self._reduces_range)
        product: Floats = outputs.numpy()[:-1]
        product *= largest
        if self._bias is not None:
            product += self._bias
        return product

    def forward(self, x: Tensor) -> Tensor:
        """Compute x [..., inputs] times the weights, plus the bias, without gradients."""
        product = self.multiply(x.detach().numpy().reshape(-1, self.in_features))
        return torch.from_numpy(product).view(*x.shape[:-1], self.out_features)


def use_int8(model: ValleModel) -> None:
    """Replace the linear layers of the trunk of a model in fp32 by layers in 8 bits; tables and heads stay.

    Raises ConfigurationError on other devices than a CPU of x86, for trunks with other layers and for adapters.
    """
    _check(model)
    for parent in list(model.trunk.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, FewRowsLinear):
                setattr(parent, name, Int8Linear(layer))


def _check(model: ValleModel) -> None:
    config = model.config
    problems = (
        (
            model.device.type != "cpu" or _ENGINE not in torch.backends.quantized.supported_engines,
            "needs an x86 CPU; choose bf16 or fp16 elsewhere",
        ),
        (
            config.trunk == "bitnet" or config.experts > 0,
            f"is for trunks of plain linear layers, not for those of {config.trunk}; choose fp32 or bf16",
        ),
        (len(model.adapters.loaded) > 0, "has no adapters; leave out --lora, or merge them by `valle export`"),
    )
    for is_given, problem in problems:
        if is_given:
            raise ConfigurationError(f"The precision int8 {problem}.")
