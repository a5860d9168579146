"""Memory of a training step: errors that mean that a batch did not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from valle.model.batch import Batch


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error of torch, on a GPU or a CPU, or of Python means that memory is exhausted."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # The allocator of the CPU raises a RuntimeError without a class of its own.
    text = str(error)
    return "not enough memory" in text or "can't allocate memory" in text


def out_of_memory(batch: Batch, step: int, *, is_saved: bool) -> str:
    """Return the sentence of a run that ends because a batch did not fit."""
    rows, slots = batch.positions.shape
    saved = f" Step {step - 1} is saved, and the run continues from it." if is_saved else ""
    return (
        f"Out of memory in step {step}: {rows} rows of {batch.layout.task} padded to {slots} slots; lower "
        f"batch_tokens, raise accumulate by as much, or set gradient_checkpointing.{saved}"
    )
