"""Low-rank adapters on linear layers, several at a time, each with its strength and only for the rows it is for.

An adapter adds `scale * up(down(x))` to the output of a layer (Hu et al., arXiv 2106.09685). Hooks add it, so names and
tensors of the model stay those of its checkpoint, and any kind of linear layer can be adapted.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from valle.model.adapters.options import LoraOptions, match_names
from valle.model.embeddings import CodeTables, IdTables
from warehouse.errors import CheckpointError, ConfigurationError

_DOWN, _UP, _TABLE = ".lora_down", ".lora_up", ".lora_table"


class LoraAdapter(nn.Module):
    """The matrices of one adapter: by layer `down` [rank, inputs] and `up` [outputs, rank], and whole `tables`."""

    def __init__(self, model: nn.Module, options: LoraOptions) -> None:
        super().__init__()
        self.options = options
        self.down, self.up, self.tables = nn.ParameterDict(), nn.ParameterDict(), nn.ParameterDict()
        self.dropout = nn.Dropout(options.dropout)
        linear = {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Linear)}
        for name in match_names(linear, options.targets, "linear layer"):
            weight = linear[name].weight
            down = torch.empty(options.rank, weight.shape[1])
            nn.init.kaiming_uniform_(down, a=math.sqrt(5))
            self.down[_key(name)] = nn.Parameter(down.to(weight.device))
            self.up[_key(name)] = nn.Parameter(torch.zeros(weight.shape[0], options.rank, device=weight.device))
        for name, layer in model.named_modules():
            if options.embeddings and isinstance(layer, IdTables | CodeTables):
                self.tables[_key(name)] = nn.Parameter(torch.zeros_like(layer.weight))

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors of its file, by the name of the layer and what they are."""
        return file_tensors(self.state_dict())

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy the tensors of a file. Raises CheckpointError for those of other layers or shapes."""
        own = self.tensors()
        if own.keys() != tensors.keys() or any(own[name].shape != tensors[name].shape for name in own):
            raise CheckpointError("The adapter is for other layers than this model has.")
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


class Adapters(nn.Module):
    """All adapters of a model by name, and the strength of those in use; without any it adds nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded = nn.ModuleDict()
        self.strengths: Mapping[str, float] = {}
        self._scales: dict[str, float | Tensor] = {}  # of the rows of the present batch

    def attach(self, model: nn.Module, name: str, adapter: LoraAdapter) -> None:
        """Add an adapter to a model that owns this object, not yet in use; its name has no dot."""
        assert name not in self.loaded, f"there is an adapter {name}"
        self.loaded[name] = adapter
        for key in adapter.down:
            model.get_submodule(_name(key)).register_forward_hook(_LowRank(self, name, key))
        for key in adapter.tables:
            model.get_submodule(_name(key)).register_forward_hook(_Table(self, name, key))

    @contextmanager
    def using(self, strengths: Mapping[str, float]) -> Iterator[None]:
        """Use adapters by name, and no others, inside the block. Raises ConfigurationError for an unknown name."""
        if unknown := sorted(set(strengths) - set(self.loaded)):
            raise ConfigurationError(f"There is no adapter {', '.join(unknown)}; give its file with --lora.")
        before = self.strengths
        self.strengths = strengths
        try:
            yield
        finally:
            self.strengths = before

    def select(self, codebooks: Tensor, *, is_speech: bool) -> None:
        """Prepare the scales of a batch of rows that predict `codebooks` [B] of speech, or other ids."""
        self._scales = {}
        for name, strength in self.strengths.items():
            options = self.adapter(name).options
            scale: float | Tensor = strength
            if options.codebooks:
                wanted = torch.tensor(options.codebooks, device=codebooks.device)
                scale = strength * (torch.isin(codebooks, wanted) & is_speech).float()[:, None, None]
            self._scales[name] = scale

    def adapter(self, name: str) -> LoraAdapter:
        """Return an adapter by its name."""
        adapter = self.loaded[name]
        assert isinstance(adapter, LoraAdapter)
        return adapter

    def scale(self, name: str) -> float | Tensor | None:
        """Return the scale of an adapter for the present batch, a number or [B, 1, 1]; None when it is not in use."""
        return self._scales.get(name)


def file_tensors(state: Mapping[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """Return the tensors of an adapter's file from the state of an adapter, or of a model where it has a `prefix`."""
    suffixes = {"down": _DOWN, "up": _UP, "tables": _TABLE}
    tensors = {}
    for name, tensor in state.items():
        if name.startswith(prefix):
            group, key = name.removeprefix(prefix).split(".")
            tensors[_name(key) + suffixes[group]] = tensor.detach()
    return tensors


def merge_adapter(
    weights: Mapping[str, Tensor], tensors: Mapping[str, Tensor], options: LoraOptions, strength: float = 1.0
) -> dict[str, Tensor]:
    """Return weights of a model, by name, with the tensors of an adapter added: in fp32 where something is added.

    Raises ConfigurationError for an adapter of some codebooks: the rows of the others would change too.
    """
    if options.codebooks:
        raise ConfigurationError(
            "An adapter of some codebooks cannot be merged, since all rows share the weights; use its file by --lora."
        )
    merged = dict(weights)
    for name, tensor in tensors.items():
        layer, _, kind = name.rpartition(".")
        if f".{kind}" == _UP:
            added = options.scale * (tensor.float() @ tensors[layer + _DOWN].float())
        elif f".{kind}" == _TABLE:
            added = tensor.float()
        else:
            continue
        merged[f"{layer}.weight"] = weights[f"{layer}.weight"].float() + strength * added
    return merged


# Objects instead of closures: a copy of the model must refer to the copied adapters.
class _LowRank:
    """A hook that adds an adapter to the output of a linear layer."""

    def __init__(self, adapters: Adapters, name: str, key: str) -> None:
        self._adapters, self._name, self._key = adapters, name, key

    def __call__(self, layer: nn.Module, arguments: tuple[Any, ...], output: Tensor) -> Tensor:
        scale = self._adapters.scale(self._name)
        if scale is None:
            return output
        adapter = self._adapters.adapter(self._name)
        inner = functional.linear(adapter.dropout(arguments[0]), adapter.down[self._key])
        added = functional.linear(inner, adapter.up[self._key])
        return output + (adapter.options.scale * scale * added).to(output.dtype)


class _Table:
    """A hook that adds the vectors of an adapter to those of a table."""

    def __init__(self, adapters: Adapters, name: str, key: str) -> None:
        self._adapters, self._name, self._key = adapters, name, key

    def __call__(self, layer: Any, arguments: tuple[Any, ...], output: Tensor) -> Tensor:
        scale = self._adapters.scale(self._name)
        if scale is None:
            return output
        table = self._adapters.adapter(self._name).tables[self._key]
        return output + scale * layer.look_up(table, *arguments)


def _key(name: str) -> str:
    # Names of parameters may not have dots.
    return name.replace(".", "/")


def _name(key: str) -> str:
    return key.replace("/", ".")
