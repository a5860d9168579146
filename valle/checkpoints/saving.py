"""Writing of checkpoints: to a temporary directory, flushed to the disk, then renamed.

Neither a kill, a full disk nor a power cut leaves half a checkpoint under its name, or removes the one before it.
"""

import dataclasses
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import Tensor

from valle.checkpoints.adapters import AdapterCard, write_adapter
from valle.checkpoints.checkpoint import CheckpointCard, adapter_path, hash_files, state_path, weights_path
from valle.checkpoints.runs import CARD, FILE_CARD, FORMAT, latest_checkpoint, list_checkpoints
from valle.state_files import write_state
from valle.tensors import write_tensors
from warehouse.errors import CheckpointError, StorageError
from warehouse.files import atomic_write


@contextmanager
def new_checkpoint(checkpoint: Path) -> Iterator[Path]:
    """Yield a temporary directory; when the body ends without an error, flush it and rename it to `checkpoint`.

    A checkpoint of that name, which is a damaged one, is set aside. Raises CheckpointError when the body or the
    renaming fails for lack of space or permission; the temporary directory is removed then.
    """
    temporary = checkpoint.with_name(f".{checkpoint.name}.tmp")
    try:
        # Left by a killed process; its files must not get into this checkpoint.
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        _flush(temporary)
        # A directory cannot replace another that is not empty.
        if checkpoint.exists():
            set_aside(checkpoint)
        temporary.replace(checkpoint)
        _flush_directory(checkpoint.parent)
    except (OSError, SafetensorError, StorageError) as error:
        last = latest_checkpoint(checkpoint.parent.parent)
        kept = f"; the last checkpoint is {last}" if last else ""
        raise CheckpointError(
            f"The checkpoint {checkpoint} cannot be written ({_reason(error)}); free space on the disk of "
            f"{checkpoint.parent} and start again{kept}."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_model(
    directory: Path, card: CheckpointCard, weights: Mapping[str, Tensor], adapter: AdapterCard | None = None
) -> None:
    """Write weights, or those of an adapter, into `directory`, and last the card with the hashes of all files in it."""
    directory.mkdir(parents=True, exist_ok=True)
    if adapter is None:
        write_tensors(weights_path(directory), weights)
    else:
        write_adapter(adapter_path(directory), adapter, weights)
    content = card_content(card) | {"files": hash_files(directory)}
    (directory / CARD).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_model_file(path: Path, card: CheckpointCard, weights: Mapping[str, Tensor]) -> None:
    """Write weights and card as one safetensors file, whose metadata have the card. Raises CheckpointError."""
    card_text = json.dumps(card_content(card) | {"files": {}}, ensure_ascii=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            write_tensors(temporary, weights, {FILE_CARD: card_text, "format": "pt"})
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written ({_reason(error)}); free space or choose another.") from error


def card_content(card: CheckpointCard) -> dict[str, Any]:
    """Return the content of a card as plain values."""
    return {field.name: getattr(card, field.name) for field in dataclasses.fields(card)} | {
        "format": FORMAT,
        "model": card.model.model_dump(mode="json"),
        "codec": dataclasses.asdict(card.codec),
        "cursor": dataclasses.asdict(card.cursor),
    }


def save_checkpoint(
    checkpoint: Path,
    card: CheckpointCard,
    weights: Mapping[str, Tensor],
    state: Mapping[str, Any],
    *,
    keep: int,
    adapter: AdapterCard | None = None,
) -> None:
    """Write a checkpoint, or only its `adapter`, with the state of its trainer; keep the newest `keep` of its run.

    Raises CheckpointError when it cannot be written.
    """
    with new_checkpoint(checkpoint) as temporary:
        write_state(state_path(temporary), state)
        write_model(temporary, card, weights, adapter)
    # Only after the new one is durable, so that a run always has a whole checkpoint.
    for old in list_checkpoints(checkpoint.parent.parent)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)


def remove_temporary_directories(run_dir: Path) -> None:
    """Remove what killed processes of a run left behind; each may be as large as a checkpoint."""
    for leftover in (run_dir / "checkpoints").glob(".step-*.tmp"):
        shutil.rmtree(leftover, ignore_errors=True)


def set_aside(checkpoint: Path) -> Path:
    """Rename a damaged checkpoint so that nothing reads it any more; returns its new name."""
    aside = checkpoint.with_name(f"damaged-{checkpoint.name}")
    shutil.rmtree(aside, ignore_errors=True)
    with suppress(OSError):  # a folder that cannot be renamed is only skipped again
        checkpoint.replace(aside)
    return aside


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _flush(directory: Path) -> None:
    """Flush every file and folder of a directory to the disk."""
    for path in directory.rglob("*"):
        if path.is_dir():
            _flush_directory(path)
        else:
            with path.open("rb+") as file:
                os.fsync(file.fileno())
    _flush_directory(directory)


def _flush_directory(directory: Path) -> None:
    # A rename is durable once its folder is; only POSIX lets a program open one.
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
