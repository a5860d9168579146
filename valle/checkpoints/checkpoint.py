"""A checkpoint on disk: weights, a card with everything that synthesis needs, and the state of the trainer.

The name of its directory is the step. `saving.py` writes it to a temporary directory and renames that, so a checkpoint
that exists is complete; the card holds the hash of every other file, so damage is found.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from manifests.reading.regular import open_regular
from valle.checkpoints.adapters import FILE as ADAPTER_FILE
from valle.checkpoints.adapters import attach_adapter, find_base, hash_weights, read_adapter
from valle.checkpoints.gguf.layout import SUFFIX
from valle.checkpoints.gguf.reading import read_gguf_weights
from valle.checkpoints.runs import CARD, CheckpointSummary, mention_older, read_content, unreadable
from valle.codec.base import CodecSpec
from valle.data.cursor import Cursor
from valle.model.adapters.lora import merge_adapter
from valle.model.config import ModelConfig
from valle.model.valle import ValleModel
from valle.phonemes import PLAIN
from valle.phonemes.pieces import AnyTable, open_table
from warehouse.errors import CheckpointError

_WEIGHTS = "model.safetensors"
_STATE = "trainer.safetensors"
OWN_ADAPTER = "own"
"""Name of the adapter of a checkpoint of a run with `lora`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointCard(CheckpointSummary):
    """The content of `checkpoint.json`.

    `phoneme_strings` are the strings of a table of pieces, empty for one of single symbols; `trained_symbols` are the
    phonemes that occurred in training, empty where they are not known; `options` are the training
    options, `metrics` the latest metrics, `ranks` the processes that trained it, `files` the
    SHA-256 of every other file by its path.
    """

    model: ModelConfig
    phoneme_symbols: tuple[str, ...]
    engine: str
    cursor: Cursor
    seconds: float
    saved_at: str
    options: Mapping[str, Any]
    metrics: Mapping[str, Any]
    ranks: int = 1
    files: Mapping[str, str] = field(default_factory=dict)
    phoneme_strings: Mapping[str, int] = field(default_factory=dict)
    trained_symbols: tuple[str, ...] = ()

    @property
    def phonemizer(self) -> str:
        """Return the phonemizer whose symbols the model was trained on: of imported weights espeak-ng alone."""
        return PLAIN if self.phoneme_strings else "espeak"

    @property
    def phoneme_table(self) -> AnyTable:
        """Return the table that encodes phonemes for this model."""
        return open_table(self.phoneme_symbols, self.phoneme_strings)


def state_path(checkpoint: Path) -> Path:
    """Return the file of the trainer's state inside a checkpoint."""
    return checkpoint / _STATE


def weights_path(checkpoint: Path) -> Path:
    """Return the file of the weights inside a checkpoint, which may be that file itself."""
    return checkpoint if checkpoint.is_file() else checkpoint / _WEIGHTS


def adapter_path(checkpoint: Path) -> Path:
    """Return the file of the adapter inside a checkpoint; it replaces the weights in that of a run with `lora`."""
    return checkpoint / ADAPTER_FILE


def read_card(checkpoint: Path) -> CheckpointCard:
    """Read the card of a checkpoint. Raises CheckpointError when there is none or it is malformed."""
    return card_of(read_content(checkpoint), checkpoint)


def card_of(content: Mapping[str, Any], checkpoint: Path) -> CheckpointCard:
    """Return the card with this content; its format was checked. Raises CheckpointError that names `checkpoint`."""
    values = {name: value for name, value in content.items() if name != "format"}
    try:
        values["model"] = ModelConfig(**values["model"])
        values["codec"] = CodecSpec(**values["codec"])
        values["cursor"] = Cursor(**values["cursor"])
        for name in ("phoneme_symbols", "trained_symbols"):
            values[name] = tuple(values.get(name, ()))
        return CheckpointCard(**values)
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise unreadable(checkpoint, error) from error


def hash_files(directory: Path) -> dict[str, str]:
    """Compute the SHA-256 of every file below a directory but the card, by its path."""
    paths = sorted(path for path in directory.rglob("*") if path.is_file() and path.name != CARD)
    return {path.relative_to(directory).as_posix(): _hash_file(path) for path in paths}


def check_files(checkpoint: Path, card: CheckpointCard) -> None:
    """Compare every file with its hash in the card. Raises CheckpointError that names a missing or damaged file."""
    # Migrated cards have no hashes; their files are checked by their readers alone.
    for name, digest in card.files.items():
        path = checkpoint / name
        try:
            is_intact = _hash_file(path) == digest
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read ({error.strerror}).") from error
        if not is_intact:
            raise CheckpointError(f"{path} is damaged: its content differs from what was saved.")


def _hash_file(path: Path) -> str:
    with open_regular(str(path)) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_weights(checkpoint: Path) -> dict[str, Tensor]:
    """Read the weights of a checkpoint, an adapter merged into those of its base.

    Raises CheckpointError when they are missing or damaged, and ConfigurationError for an adapter of some codebooks.
    """
    if adapter_path(checkpoint).exists():
        card, tensors = read_adapter(adapter_path(checkpoint))
        base = read_weights(find_base(card))
        if hash_weights(base) != card.base_hash:
            raise CheckpointError(f"The base {card.base} of {checkpoint} has changed; put the former weights back.")
        return merge_adapter(base, tensors, card.lora)
    if checkpoint.suffix == SUFFIX:
        return read_gguf_weights(checkpoint)
    try:
        open_regular(str(weights_path(checkpoint))).close()
        return load_file(weights_path(checkpoint))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"The weights of {checkpoint} are missing or damaged ({error}){mention_older(checkpoint)}."
        ) from error


def load_weights(
    weights: Mapping[str, Tensor], checkpoint: Path, model: ValleModel, *, allow_new: Sequence[str] = ()
) -> None:
    """Copy the weights of a checkpoint into `model`, which may have others whose names match a pattern of `allow_new`.

    Raises CheckpointError for other names or shapes.
    """
    own = model.state_dict()
    new = {
        name: own[name]
        for name in own
        if name not in weights and any(fnmatchcase(name, f"{pattern}*") for pattern in allow_new)
    }
    try:
        model.load_state_dict({**weights, **new})
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise CheckpointError(f"The weights of {checkpoint} do not fit its card ({reason}).") from error


def load_model(checkpoint: Path, adapters: Mapping[str, Path] | None = None) -> tuple[ValleModel, CheckpointCard]:
    """Load the model of a checkpoint, in evaluation mode on the CPU, and its card.

    `adapters` are attached by their names, not yet in use; the checkpoint's own adapter is in use. Raises
    CheckpointError, also for an adapter of another base.
    """
    card = read_card(checkpoint)
    own = adapter_path(checkpoint)
    base = find_base(read_adapter(own)[0]) if own.exists() else checkpoint
    with torch.random.fork_rng(devices=[]):  # the random initial weights must not advance the caller's generator
        model = ValleModel(card.model)
    load_weights(read_weights(base), base, model)
    files = {OWN_ADAPTER: own} if own.exists() else {}
    files |= adapters or {}
    if files:
        base_hash = hash_weights(model.state_dict())
        for name, path in files.items():
            attach_adapter(model, path, base_hash, name)
        model.adapters.strengths = {OWN_ADAPTER: 1.0} if own.exists() else {}
    return model.eval(), card
