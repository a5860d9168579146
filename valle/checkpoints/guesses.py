"""Heads that guess further frames, in a file of their own inside a checkpoint whose weights have none.

Decoding keeps a guess only where the model itself draws the same, so heads of another checkpoint of the same shape are
right, too; they save fewer passes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from valle.model.lookahead import Lookahead
from valle.tensors import write_tensors
from warehouse.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from valle.model.valle import ValleModel

FILE = "lookahead.safetensors"
"""Name of the file inside a checkpoint."""
_PREFIX = "lookahead."


def export_heads(weights: Mapping[str, Tensor], out: Path) -> int:
    """Write the heads among the weights of a checkpoint as one file in half precision; returns its size in bytes.

    Raises CheckpointError for weights without such heads, and when `out` exists.
    """
    if out.exists():
        raise CheckpointError(f"{out} exists; give a name that does not.")
    heads = {name: tensor for name, tensor in weights.items() if name.startswith(_PREFIX)}
    if not heads:
        raise CheckpointError("The checkpoint has no heads that guess; train them with `--options.lookahead 3`.")
    write_tensors(out, {name.removeprefix(_PREFIX): tensor.half() for name, tensor in heads.items()})
    return out.stat().st_size


def attach_heads(model: ValleModel, checkpoint: Path) -> None:
    """Let a model guess with the file of heads in the directory of its checkpoint, unless it has none, or its own.

    Raises CheckpointError for a damaged file and for heads of a model of another width.
    """
    path = checkpoint / FILE
    if model.lookahead is not None or not path.is_file():
        return
    try:
        tensors = load_file(path)
        with torch.random.fork_rng(devices=[]):
            heads = Lookahead(len(tensors["weight"]), model.config.width)
        heads.load_state_dict(tensors)
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"{path} is damaged or has heads of another model ({reason}); remove it, or export it again."
        ) from error
    changed = model.config.model_copy(update={"lookahead": heads.guesses})
    if changed.problem is not None:
        raise CheckpointError(f"{path} is for another model. {changed.problem} Remove the file.")
    model.lookahead = heads.eval()
