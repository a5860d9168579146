"""Linear layers of the trunk in 8-bit floating point, by torchao."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from warehouse.errors import ConfigurationError, DependencyError

if TYPE_CHECKING:
    from valle.model.valle import ValleModel

# Compute capability of the first GPUs that multiply fp8 (Ada, Hopper).
_CAPABILITY = (8, 9)
# Sizes that the kernels accept are multiples of this.
_MULTIPLE = 16


def use_fp8(model: ValleModel, device: str) -> None:
    """Replace the linear layers of the trunk by those that multiply in fp8; names and weights stay.

    Raises ConfigurationError for a device without fp8 and DependencyError without torchao.
    """
    if not device.startswith("cuda") or not torch.cuda.is_available():
        raise ConfigurationError("fp8 needs a GPU; set device to cuda, or precision to bf16.")
    if torch.cuda.get_device_capability(device) < _CAPABILITY:
        raise ConfigurationError("This GPU has no fp8 (it needs compute capability 8.9); set precision to bf16.")
    try:
        from torchao.float8 import convert_to_float8_training
    except ImportError as error:
        raise DependencyError("fp8 needs torchao: run `pip install 'valle[fp8]'`.") from error

    def fits(layer: nn.Module, name: str) -> bool:
        return isinstance(layer, nn.Linear) and not (layer.in_features % _MULTIPLE or layer.out_features % _MULTIPLE)

    convert_to_float8_training(model.trunk, module_filter_fn=fits)
