"""Read GGUF files that this project exported: the card, and the weights by our names."""

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

from valle.checkpoints.gguf.layout import A_MATRIX, CARD, TABLES, trunk_weights
from warehouse.errors import CheckpointError, ConfigurationError

if TYPE_CHECKING:
    from torch import Tensor


def read_gguf_card(path: Path) -> str:
    """Return the card of a file as JSON text. Raises CheckpointError for a file that is not one of our checkpoints."""
    return _text(_open(path), CARD, path)


def weight_type_of(path: Path) -> str:
    """Return the number type of the matrices of a file, such as `q8_0`. Raises CheckpointError."""
    kinds = [one.tensor_type.name.lower() for one in _open(path).tensors if one.name == A_MATRIX]
    if not kinds:
        raise CheckpointError(f"{path} has no trunk of this project; `valle export --format gguf` writes such files.")
    return str(kinds[0])


def read_gguf_weights(path: Path) -> "dict[str, Tensor]":
    """Return all weights of a file in fp32, those of the trunk decoded from its blocks. Raises CheckpointError."""
    import numpy as np
    import torch
    from gguf.quants import dequantize
    from safetensors import SafetensorError
    from safetensors.torch import load

    reader = _open(path)
    try:
        weights = load(base64.b64decode(_text(reader, TABLES, path)))
        tensors = {one.name: dequantize(one.data, one.tensor_type) for one in reader.tensors}
        trunk = {name: torch.from_numpy(np.array(array)) for name, array in trunk_weights(tensors).items()}
    except (ValueError, KeyError, SafetensorError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); export it again.") from error
    return {name: tensor.float() for name, tensor in (weights | trunk).items()}


def _open(path: Path) -> Any:
    """Open a file by the package `gguf`. Raises ConfigurationError without it, CheckpointError for other files."""
    try:
        from gguf import GGUFReader
    except ImportError as error:
        raise ConfigurationError("GGUF files need the package gguf: pip install 'valle[llama]'.") from error
    try:
        return GGUFReader(path)
    except (OSError, ValueError, IndexError) as error:
        raise CheckpointError(f"{path} is no GGUF file or damaged ({error}); export it again.") from error


def _text(reader: Any, key: str, path: Path) -> str:
    field = reader.get_field(key)
    if field is None:
        raise CheckpointError(f"{path} has no card of this project; `valle export --format gguf` writes such files.")
    return str(field.contents())
