"""Adapters on disk: one safetensors file, whose metadata has the options and the base that it was trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from valle.checkpoints.runs import EMBEDDED_RUNS, latest_checkpoint
from valle.model.adapters.lora import LoraAdapter
from valle.model.adapters.options import LoraOptions
from valle.tensors import write_tensors
from warehouse.errors import CheckpointError, ConfigurationError

if TYPE_CHECKING:
    from valle.model.valle import ValleModel

FILE = "adapter.safetensors"
"""Name of the file inside a checkpoint of a run that trains an adapter."""
_CARD = "valle_adapter"


class AdapterCard(BaseModel):
    """Options of an adapter, and the checkpoint that it adapts: where it was, and the hash of its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lora: LoraOptions
    base: Path
    base_hash: str
    run_id: str
    step: int
    format: int = 1


def hash_weights(weights: Mapping[str, Tensor]) -> str:
    """Compute the SHA-256 of weights in half precision, so that an exported checkpoint is the same base."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().half().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def write_adapter(path: Path, card: AdapterCard, tensors: Mapping[str, Tensor]) -> None:
    """Write an adapter to a file."""
    write_tensors(path, tensors, {_CARD: card.model_dump_json()})


def read_adapter(path: Path) -> tuple[AdapterCard, dict[str, Tensor]]:
    """Read an adapter. Raises CheckpointError for a file that is missing, damaged or no adapter."""
    try:
        with safe_open(path, "pt") as file:
            card = AdapterCard.model_validate_json((file.metadata() or {})[_CARD])
            return card, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
    except (OSError, SafetensorError, KeyError, ValidationError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"{path} is missing, damaged or no adapter of this project ({reason}); give {FILE} of a run with lora.rank."
        ) from error


def parse_adapters(values: Sequence[str]) -> list[tuple[Path, float]]:
    """Return files and strengths of values such as `b.safetensors=0.5`. Raises ConfigurationError."""
    adapters = []
    for value in values:
        path, equals, strength = value.rpartition("=")
        try:
            adapters.append((Path(path), float(strength)) if equals else (Path(value), 1.0))
        except ValueError as error:
            raise ConfigurationError(f"--lora {value}: the strength after = must be a number.") from error
    return adapters


def attach_adapter(model: ValleModel, path: Path, base_hash: str, name: str) -> None:
    """Attach the adapter of a file to the model whose weights have `base_hash`, not yet in use.

    Raises CheckpointError for an unreadable file and for an adapter of another base.
    """
    card, tensors = read_adapter(path)
    if card.base_hash != base_hash:
        raise CheckpointError(
            f"{path} adapts {card.base} with weights {card.base_hash[:8]}, and these are {base_hash[:8]}; "
            "name its base with --checkpoint or --run."
        )
    adapter = new_adapter(model, card.lora)
    adapter.load(tensors)
    model.adapters.attach(model, name, adapter.train(model.training))


def new_adapter(model: ValleModel, options: LoraOptions) -> LoraAdapter:
    """Make an untrained adapter, which adds nothing, without a change of torch's generator."""
    with torch.random.fork_rng(devices=[]):
        return LoraAdapter(model, options)


def find_base(card: AdapterCard) -> Path:
    """Return the checkpoint that an adapter was trained on. Raises CheckpointError when it is not there any more."""
    embedded = (latest_checkpoint(run) for run in EMBEDDED_RUNS.iterdir())
    for directory in (card.base, *embedded):
        if directory is not None and directory.is_dir() and directory.name == card.base.name:
            return directory
    raise CheckpointError(f"The base {card.base} of an adapter is missing; put that checkpoint back.")
