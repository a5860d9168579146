"""Nested state of a training in one safetensors file, with everything that is no tensor as JSON in its metadata.

Nothing is executed when such a file is read, unlike a pickle.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from manifests.reading.regular import open_regular
from valle.tensors import write_tensors
from warehouse.errors import CheckpointError

# Name of the metadata with the structure of the state.
_TREE = "state"


def write_state(path: Path, state: Any) -> None:
    """Write nested dicts, lists and tuples of tensors, numbers, strings and None to the file `path`.

    Numpy scalars become numbers. Raises TypeError for values of other types.
    """
    tensors: dict[str, Tensor] = {}
    tree = _encode(state, tensors)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_tensors(path, tensors, {_TREE: json.dumps(tree)})


def read_state(path: Path) -> Any:
    """Read what `write_state` wrote, with tensors on the CPU. Raises CheckpointError for a missing or damaged file."""
    try:
        open_regular(str(path)).close()
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
            return _decode(json.loads(file.metadata()[_TREE]), tensors)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"The training state {path} is missing or damaged ({error}).") from error


def _encode(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        name = str(len(tensors))
        # Parameters may share memory, which safetensors refuses.
        tensors[name] = value.detach().cpu().clone()
        return {"tensor": name}
    if isinstance(value, dict):
        # Pairs, because the keys of an optimizer's state are integers.
        return {"dict": [[key, _encode(item, tensors)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_encode(item, tensors) for item in value]}
    if isinstance(value, list):
        return [_encode(item, tensors) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"A training state cannot hold a {type(value).__name__}.")


def _decode(tree: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(tree, list):
        return [_decode(item, tensors) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if "tensor" in tree:
        return tensors[tree["tensor"]]
    if "tuple" in tree:
        return tuple(_decode(item, tensors) for item in tree["tuple"])
    return {key: _decode(item, tensors) for key, item in tree["dict"]}


def to_device(state: Any, device: torch.device) -> Any:
    """Move the tensors of a nested state to a device."""
    if isinstance(state, Tensor):
        return state.to(device)
    if isinstance(state, dict):
        return {key: to_device(value, device) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(to_device(value, device) for value in state)
    return state
