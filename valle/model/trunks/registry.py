"""The trunks by the option `trunk`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from valle.model.config import ModelConfig
    from valle.model.trunks.blocks import Stack

# Module of this package and class. A trunk is imported when a model has it: a checkpoint needs one of them.
_CLASSES = {
    "llama": ("llama", "LlamaTrunk"),
    "transformer": ("transformer", "TransformerTrunk"),
    "retnet": ("retnet", "RetNetTrunk"),
    "mixtral": ("llama", "LlamaTrunk"),  # with experts
    "bitnet": ("llama", "LlamaTrunk"),  # with ternary layers
    "mamba": ("mamba", "MambaTrunk"),
}

TRUNKS = tuple(_CLASSES)


def make_trunk(config: ModelConfig) -> Stack:
    """Make the trunk that a configuration names, with random weights."""
    # `ModelConfig` accepts the names of the table only.
    module, name = _CLASSES[config.trunk]
    trunk: Callable[[ModelConfig], Stack] = getattr(import_module(f"valle.model.trunks.{module}"), name)
    return trunk(config)
