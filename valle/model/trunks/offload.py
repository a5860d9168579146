"""Models that are larger than the memory of their device: some blocks stay on the CPU until they compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    import torch

    from valle.model.valle import ValleModel


def place(model: ValleModel, device: torch.device, budget: int | None) -> int:
    """Move a model to a device where its weights take at most `budget` bytes, None for any number.

    The last blocks stay on the CPU, and each is copied to the device for its own forward. Returns their number. Raises
    ConfigurationError when the budget has no room for the rest of the model and one block.
    """
    blocks = list(model.trunk.blocks)
    sizes = [_num_bytes(block) for block in blocks]
    if budget is None or _num_bytes(model) <= budget:
        model.to(device)
        return 0
    if model.config.trunk == "bitnet":
        raise ConfigurationError("The trunk bitnet keeps rounded weights on its device; leave device_gigabytes open.")
    # One block at a time is on the device beside those that stay there.
    room = budget - (_num_bytes(model) - sum(sizes)) - max(sizes)
    if room < 0:
        raise ConfigurationError(
            f"The model needs {(budget - room) / 1e9:.3f} GB of the device at least; raise device_gigabytes."
        )
    kept = 0
    while sum(sizes[: kept + 1]) <= room:
        kept += 1
    # Only their parameters return to the CPU; buffers are small.
    streamed = [_Streamed(block, device) for block in blocks[kept:]]
    model.to(device)
    for one in streamed:
        one.restore()
    return len(streamed)


def _num_bytes(module: nn.Module) -> int:
    return sum(parameter.nbytes for parameter in module.parameters())


class _Streamed:
    """A block whose parameters are on the device during its own forward only."""

    def __init__(self, block: nn.Module, device: torch.device) -> None:
        self._parameters, self._device = list(block.parameters()), device
        self._home = [parameter.data for parameter in self._parameters]
        block.register_forward_pre_hook(self._fetch)
        block.register_forward_hook(self._return)

    def restore(self) -> None:
        """Put the weights back to where they were; what the device had of them is freed."""
        for parameter, tensor in zip(self._parameters, self._home, strict=True):
            parameter.data = tensor

    def _fetch(self, block: nn.Module, arguments: tuple[Any, ...]) -> None:
        for parameter, tensor in zip(self._parameters, self._home, strict=True):
            parameter.data = tensor.to(self._device, copy=True)

    def _return(self, block: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> None:
        self.restore()
