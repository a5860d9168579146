"""Weights of a larger model from those of a smaller one, such that both compute the same at first."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from valle.model.config import ModelConfig

_BLOCK = re.compile(r"trunk\.blocks\.(\d+)\.(.+)")
# Ends of the names of the layers whose outputs a block adds to its input.
_LAST = ("output.weight", "output.bias")


def grow_weights(weights: Mapping[str, Tensor], before: ModelConfig, after: ModelConfig) -> dict[str, Tensor]:
    """Return weights for a deeper model, or for one with experts, by name; a new router is left out.

    A new layer is a copy of the one before it whose outputs are zero, so it passes its input on until it is trained.
    Every expert is a copy of the dense MLP, and two of them with weights that sum to 1 compute what it computes.
    """
    grown = dict(weights)
    if after.depth > before.depth:
        grown = _deepen(grown, after.depth / before.depth, _count(grown))
    if after.experts and not before.experts:
        grown = {
            new: tensor for name, tensor in grown.items() for new, tensor in _as_experts(name, tensor, after.experts)
        }
    return grown


def _count(weights: Mapping[str, Tensor]) -> int:
    return 1 + max(int(match[1]) for name in weights if (match := _BLOCK.fullmatch(name)))


def _deepen(weights: Mapping[str, Tensor], factor: float, num_blocks: int) -> dict[str, Tensor]:
    """Spread the blocks evenly over the new ones; those between are copies with outputs of zero."""
    total = round(num_blocks * factor)
    sources = [index * num_blocks // total for index in range(total)]
    deep = {name: tensor for name, tensor in weights.items() if not _BLOCK.fullmatch(name)}
    for index, source in enumerate(sources):
        is_copy = index > 0 and sources[index - 1] == source
        for name, tensor in weights.items():
            match = _BLOCK.fullmatch(name)
            if match and int(match[1]) == source:
                is_zero = is_copy and match[2].endswith(_LAST)
                deep[f"trunk.blocks.{index}.{match[2]}"] = torch.zeros_like(tensor) if is_zero else tensor.clone()
    return deep


def _as_experts(name: str, tensor: Tensor, experts: int) -> list[tuple[str, Tensor]]:
    for dense, expert in (("mlp.inputs.weight", "mlp.inputs"), ("mlp.output.weight", "mlp.outputs")):
        if name.startswith("trunk.") and name.endswith(dense):
            return [(name.removesuffix(dense) + expert, tensor.repeat(experts, 1, 1))]
    return [(name, tensor)]
