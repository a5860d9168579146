"""Export of a checkpoint: weights in half precision and card, without the state of the trainer."""

import dataclasses
import logging
from pathlib import Path

from torch import Tensor

from valle.checkpoints.checkpoint import CheckpointCard, read_card, read_weights
from valle.checkpoints.gguf.layout import WeightType
from valle.checkpoints.gguf.writing import write_gguf
from valle.checkpoints.runs import checkpoint_directory
from valle.checkpoints.saving import new_checkpoint, write_model, write_model_file
from valle.synthesis.options import SamplingOptions
from warehouse.errors import CheckpointError

log = logging.getLogger(__name__)
LARGEST = 65_504.0
"""The largest number in half precision."""
# Options that are paths of the machine that trained it.
_LOCAL_OPTIONS = ("training_set", "run_dir", "start_from", "embeddings_from", "distillation")


def export_step(run_dir: Path, step: int) -> Path:
    """Export the checkpoint of a step to `exports/` of its run, unless it is there; returns the directory."""
    checkpoint = checkpoint_directory(run_dir, step)
    out = run_dir / "exports" / checkpoint.name
    if not out.exists():
        out.parent.mkdir(exist_ok=True)
        log.info("Exported %s: %.1f MB.", out, export_checkpoint(checkpoint, out) / 1e6)
    return out


def export_checkpoint(
    checkpoint: Path, out: Path, *, name: str | None = None, sampling: SamplingOptions | None = None
) -> int:
    """Write a checkpoint to the new directory `out` in fp16, and return its size in bytes.

    `name` replaces the name of its run, `sampling` its default sampling options; the card keeps every option of its
    training that is no path. Raises CheckpointError when there is no checkpoint, when `out` exists or cannot be
    written, or when a weight is too large for half precision.
    """
    exported, weights = published(checkpoint, out, name=name, sampling=sampling)
    with new_checkpoint(out) as temporary:
        write_model(temporary, exported, weights)
    return sum(file.stat().st_size for file in out.iterdir())


def export_file(
    checkpoint: Path, out: Path, *, name: str | None = None, sampling: SamplingOptions | None = None
) -> int:
    """Write a checkpoint as one safetensors file, from which `valle speak` speaks, and return its size in bytes.

    Its metadata have the card: configuration, symbols, codec, options and metrics. Errors as `export_checkpoint`.
    """
    exported, weights = published(checkpoint, out, name=name, sampling=sampling)
    write_model_file(out, exported, weights)
    return out.stat().st_size


def export_gguf(
    checkpoint: Path,
    out: Path,
    weight_type: WeightType,
    *,
    name: str | None = None,
    sampling: SamplingOptions | None = None,
) -> int:
    """Write a checkpoint as one GGUF file for llama.cpp, and return its size in bytes.

    Errors as `export_checkpoint` and `write_gguf`.
    """
    exported, weights = published(checkpoint, out, name=name, sampling=sampling, is_half=weight_type != "f32")
    write_gguf(out, exported, weights, weight_type)
    return out.stat().st_size


def published(
    checkpoint: Path,
    out: Path,
    *,
    name: str | None = None,
    sampling: SamplingOptions | None = None,
    is_half: bool = True,
) -> tuple[CheckpointCard, dict[str, Tensor]]:
    """Return the card and the weights of a checkpoint to give away as `out`, by default in half precision.

    Errors as `export_checkpoint`.
    """
    if out.exists():
        raise CheckpointError(f"{out} exists; give a name that does not.")
    card = read_card(checkpoint)
    weights = read_weights(checkpoint)
    for parameter, tensor in weights.items():
        if is_half and not tensor.abs().max() <= LARGEST:
            raise CheckpointError(f"{parameter} of {checkpoint} has weights that half precision cannot hold.")
    options = {option: value for option, value in card.options.items() if option not in _LOCAL_OPTIONS}
    options["run_id"] = name or card.run_id
    if sampling is not None:
        options["sampling"] = sampling.model_dump(mode="json", exclude_unset=True)
    exported = dataclasses.replace(card, run_id=options["run_id"], options=options)
    return exported, {parameter: tensor.half() if is_half else tensor.float() for parameter, tensor in weights.items()}
