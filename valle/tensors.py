"""Tensors as files."""

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors and what is said of them as a safetensors file that may be read by whom the folder lets.

    `save_file` of the package makes files that nobody but their owner may read.
    """
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    path.write_bytes(save(contiguous, dict(metadata) if metadata is not None else None))
