"""Write tensors to files."""

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors and their metadata as a safetensors file with the default permissions.

    `save_file` of safetensors makes files that only their owner may read.
    """
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    path.write_bytes(save(contiguous, dict(metadata) if metadata is not None else None))
