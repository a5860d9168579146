"""A checkpoint on disk: `model.safetensors`, `checkpoint.json` with all it takes to speak, and the trainer's state.

Written to a temporary directory and renamed, so a checkpoint that exists is complete. The name is the step.
"""

import dataclasses
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from valle.checkpoints.runs import (
    CARD,
    FORMAT,
    CheckpointSummary,
    list_checkpoints,
    read_content,
    unreadable,
)
from valle.codec.base import CodecSpec
from valle.data.cursor import Cursor
from valle.model.config import ModelConfig
from valle.model.valle import ValleModel
from valle.tensors import write_tensors
from warehouse.errors import CheckpointError

_WEIGHTS = "model.safetensors"
_STATE = "trainer"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointCard(CheckpointSummary):
    """What `checkpoint.json` says. `options` are the training options, `metrics` the last line of metrics."""

    model: ModelConfig
    phoneme_symbols: tuple[str, ...]
    engine: str
    cursor: Cursor
    seconds: float
    saved_at: str
    options: Mapping[str, Any]
    metrics: Mapping[str, Any]


def state_directory(checkpoint: Path) -> Path:
    """Where the trainer's state lies inside a checkpoint."""
    return checkpoint / _STATE


def weights_path(checkpoint: Path) -> Path:
    """Where the weights lie inside a checkpoint."""
    return checkpoint / _WEIGHTS


def temporary_directory(checkpoint: Path) -> Path:
    """Where a checkpoint is written before it is renamed; the same on every rank."""
    return checkpoint.with_name(f".{checkpoint.name}.tmp")


def write_model(directory: Path, card: CheckpointCard, weights: Mapping[str, Tensor]) -> None:
    """Write weights and card into `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    write_tensors(weights_path(directory), weights)
    content = {field.name: getattr(card, field.name) for field in dataclasses.fields(card)} | {
        "format": FORMAT,
        "model": card.model.model_dump(),
        "codec": dataclasses.asdict(card.codec),
        "cursor": dataclasses.asdict(card.cursor),
    }
    (directory / CARD).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def publish(temporary: Path, checkpoint: Path, *, keep: int) -> None:
    """Give a written checkpoint its name and remove all but the newest `keep` of its run."""
    if checkpoint.exists():
        shutil.rmtree(checkpoint)
    temporary.replace(checkpoint)
    for old in list_checkpoints(checkpoint.parent.parent)[:-keep]:
        shutil.rmtree(old)


def read_card(checkpoint: Path) -> CheckpointCard:
    """The card of a checkpoint. Raises CheckpointError when there is none or it cannot be understood."""
    content = read_content(checkpoint)
    try:
        content["model"] = ModelConfig(**content["model"])
        content["codec"] = CodecSpec(**content["codec"])
        content["cursor"] = Cursor(**content["cursor"])
        content["phoneme_symbols"] = tuple(content["phoneme_symbols"])
        return CheckpointCard(**content)
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise unreadable(checkpoint, error) from error


def load_weights(checkpoint: Path, model: ValleModel) -> None:
    """Copy the weights of a checkpoint into `model`. Raises CheckpointError when names or shapes differ."""
    try:
        weights = load_file(weights_path(checkpoint))
        model.load_state_dict(weights)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise CheckpointError(f"The weights of {checkpoint} do not fit its card ({reason}).") from error


def load_model(checkpoint: Path) -> tuple[ValleModel, CheckpointCard]:
    """The model of a checkpoint, in evaluation mode on the CPU, and its card. Raises CheckpointError."""
    card = read_card(checkpoint)
    with torch.random.fork_rng(devices=[]):  # the first weights are thrown away; the caller's draws must not notice
        model = ValleModel(card.model)
    load_weights(checkpoint, model)
    return model.eval(), card
