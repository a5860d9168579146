"""Two optimizers as one: Muon for the matrices of the trunk, AdamW for all other parameters."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.optim import Optimizer


class CombinedOptimizer:
    """Several optimizers with disjoint parameters, stepped together; the part of torch's interface that engines use."""

    def __init__(self, optimizers: Sequence[Optimizer]) -> None:
        self._optimizers = tuple(optimizers)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Return the groups of all optimizers."""
        return [group for optimizer in self._optimizers for group in optimizer.param_groups]

    def step(self) -> None:
        """Update all parameters."""
        for optimizer in self._optimizers:
            optimizer.step()

    def zero_grad(self, *, set_to_none: bool = True) -> None:
        """Clear all gradients."""
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none=set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """Return the states of all optimizers."""
        return {"optimizers": [optimizer.state_dict() for optimizer in self._optimizers]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the states of all optimizers. Raises ValueError for the state of another optimizer."""
        for optimizer, own in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(own)


def is_trunk_matrix(name: str, parameter: torch.Tensor) -> bool:
    """Return whether a parameter is a matrix between hidden states, neither a table nor a head."""
    return parameter.dim() == 2 and name.startswith("trunk.") and "stages" not in name
