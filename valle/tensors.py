"""Write tensors to files, and read files of others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors.torch import save
from torch import Tensor


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors and their metadata as a safetensors file with the default permissions.

    `save_file` of safetensors makes files that only their owner may read.
    """
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    path.write_bytes(save(contiguous, dict(metadata) if metadata is not None else None))


def load_pickled(file: Path | BinaryIO) -> dict[str, Any]:
    """Read the dictionary in a file of `torch.save`, with nothing but tensors and plain values in it.

    A pickle may run any program, so other content is refused. Raises OSError for a file that cannot be opened, and
    ValueError with the reason for one that is damaged or no dictionary.
    """
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # damaged files raise almost any error
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"it is damaged or no file of tensors: {reason}") from error
    if not isinstance(content, dict):
        raise ValueError("it holds no dictionary of tensors")
    return content
