"""The trunks by the option `trunk`."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from valle.model.config import ModelConfig
from valle.model.trunks.blocks import Stack
from valle.model.trunks.llama import LlamaTrunk
from valle.model.trunks.mamba import MambaTrunk
from valle.model.trunks.retnet import RetNetTrunk
from valle.model.trunks.transformer import TransformerTrunk

TRUNKS: Mapping[str, Callable[[ModelConfig], Stack]] = MappingProxyType(
    {
        "llama": LlamaTrunk,
        "transformer": TransformerTrunk,
        "retnet": RetNetTrunk,
        "mixtral": LlamaTrunk,  # with experts
        "bitnet": LlamaTrunk,  # with ternary layers
        "mamba": MambaTrunk,
    }
)


def make_trunk(config: ModelConfig) -> Stack:
    """Make the trunk that a configuration names, with random weights."""
    return TRUNKS[config.trunk](config)
