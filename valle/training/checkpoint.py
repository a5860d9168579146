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
from safetensors.torch import load_file, save_file
from torch import Tensor

from valle.codec.base import CodecSpec
from valle.data.sampler import Cursor
from valle.model import ModelConfig, ValleModel
from warehouse.errors import CheckpointError

SCHEMA = 1
_CARD = "checkpoint.json"
_WEIGHTS = "model.safetensors"
_STATE = "trainer"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointCard:
    """What `checkpoint.json` says. `options` are the training options, `metrics` the last line of metrics."""

    run_id: str
    step: int
    training_set: str
    model: ModelConfig
    codec: CodecSpec
    phoneme_symbols: tuple[str, ...]
    engine: str
    cursor: Cursor
    seconds: float
    saved_at: str
    options: Mapping[str, Any]
    metrics: Mapping[str, Any]

    @property
    def checkpoint_id(self) -> str:
        """Run id and step."""
        return f"{self.run_id}-{self.step}"


def checkpoint_directory(run_dir: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return run_dir / "checkpoints" / f"step-{step:08d}"


def list_checkpoints(run_dir: Path) -> list[Path]:
    """Complete checkpoints of a run, oldest first."""
    return sorted((run_dir / "checkpoints").glob("step-*"))


def latest_checkpoint(run_dir: Path) -> Path | None:
    """The newest complete checkpoint of a run, if there is one."""
    return next(reversed(list_checkpoints(run_dir)), None)


def state_directory(checkpoint: Path) -> Path:
    """Where the trainer's state lies inside a checkpoint."""
    return checkpoint / _STATE


def temporary_directory(checkpoint: Path) -> Path:
    """Where a checkpoint is written before it is renamed; the same on every rank."""
    return checkpoint.with_name(f".{checkpoint.name}.tmp")


def write_model(directory: Path, card: CheckpointCard, weights: Mapping[str, Tensor]) -> None:
    """Write weights and card into `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, directory / _WEIGHTS)
    content = {field.name: getattr(card, field.name) for field in dataclasses.fields(card)} | {
        "schema": SCHEMA,
        "model": card.model.model_dump(),
        "codec": dataclasses.asdict(card.codec),
        "cursor": dataclasses.asdict(card.cursor),
    }
    (directory / _CARD).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def publish(temporary: Path, checkpoint: Path, *, keep: int) -> None:
    """Give a written checkpoint its name and remove all but the newest `keep` of its run."""
    if checkpoint.exists():
        shutil.rmtree(checkpoint)
    temporary.replace(checkpoint)
    for old in list_checkpoints(checkpoint.parent.parent)[:-keep]:
        shutil.rmtree(old)


def read_card(checkpoint: Path) -> CheckpointCard:
    """The card of a checkpoint. Raises CheckpointError when there is none or it cannot be understood."""
    path = checkpoint / _CARD
    if not path.exists():
        raise CheckpointError(f"There is no checkpoint in {checkpoint}; give the directory that holds {_CARD}.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("schema") != SCHEMA:
            raise CheckpointError(f"{path} was written by another version of this project; train again or convert it.")
        content["model"] = ModelConfig(**content["model"])
        content["codec"] = CodecSpec(**content["codec"])
        content["cursor"] = Cursor(**content["cursor"])
        content["phoneme_symbols"] = tuple(content["phoneme_symbols"])
        return CheckpointCard(**content)
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); it is no card of a checkpoint.") from error


def load_weights(checkpoint: Path, model: ValleModel) -> None:
    """Copy the weights of a checkpoint into `model`. Raises CheckpointError when names or shapes differ."""
    try:
        weights = load_file(checkpoint / _WEIGHTS)
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
