"""Containers of codes: `.enc`, `.dac` and `.nem` of e-c-k-e-r/vall-e, and the older `.qnt.pt`.

The first three are one pickled dictionary each: `codes`, (1, K, T) or (K, T), and `metadata`, which may have the text,
phonemes and language. A `.qnt.pt` is a tensor of codes alone; its phonemes are in `.phn.txt` beside it.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manifests.codes.arrays_only import load_arrays, load_torch
from manifests.reading.regular import read_limited

SUFFIXES = (".enc", ".dac", ".nem", ".qnt.pt")
_LARGEST_CODEBOOKS = 32
# An hour of 32 codebooks at 86 frames a second, in int64, is 80 MB.
_LARGEST_BYTES = 1 << 30


class UnreadableCodes(Exception):
    """A container that cannot be read, or whose codes cannot be right."""


@dataclass(frozen=True, slots=True)
class CodesContainer:
    """Codes [K, T] and the metadata of the container."""

    codes: NDArray[np.int16]
    metadata: Mapping[str, Any]


def container_suffix(path: Path) -> str:
    """Return the suffix of a container, empty for other files."""
    return next((suffix for suffix in SUFFIXES if path.name.endswith(suffix)), "")


def read_container(path: Path) -> CodesContainer:
    """Read a container. Raises UnreadableCodes with the reason."""
    try:
        content = read_limited(str(path), _LARGEST_BYTES)
        if path.name.endswith(".qnt.pt"):
            return CodesContainer(checked_codes(load_torch(content)), {})
        return _from_dictionary(load_npy(content))
    except (OSError, ValueError, MemoryError) as error:
        raise UnreadableCodes(f"{path} cannot be read: {error}") from error


def load_npy(content: bytes) -> Any:
    """Read a .npy file: its array, or the object that it pickles. Raises ValueError."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    _, _, dtype = read_header(stream)
    if not dtype.hasobject:
        return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    loaded = load_arrays(content[stream.tell() :])
    return loaded.item() if isinstance(loaded, np.ndarray) and loaded.dtype.hasobject and loaded.size == 1 else loaded


def write_container(path: Path, codes: NDArray[np.int16], metadata: Mapping[str, Any]) -> None:
    """Write a container as e-c-k-e-r/vall-e reads it: codes (1, K, T) in uint16."""
    content = {"codes": codes[None].astype(np.uint16), "metadata": dict(metadata)}
    with path.open("wb") as file:
        np.save(file, np.array(content, dtype=object), allow_pickle=True)


def _from_dictionary(content: Any) -> CodesContainer:
    if not isinstance(content, dict) or "codes" not in content:
        raise ValueError("it holds no codes")
    metadata = content.get("metadata")
    return CodesContainer(checked_codes(content["codes"]), metadata if isinstance(metadata, Mapping) else {})


def checked_codes(codes: Any) -> NDArray[np.int16]:
    """Return codes as [K, T] int16. Raises ValueError for another shape and for codes that cannot be right."""
    if not isinstance(codes, np.ndarray) or codes.dtype.kind not in "iu":
        raise ValueError("its codes are no integers")
    squeezed = codes[0] if codes.ndim == 3 and codes.shape[0] == 1 else codes
    if squeezed.ndim != 2 or 0 in squeezed.shape:
        raise ValueError(f"its codes have the shape {codes.shape}")
    # Two axes do not tell which is which; no codec has more codebooks than this, and three axes have frames last.
    if codes.ndim == 2 and squeezed.shape[0] > _LARGEST_CODEBOOKS >= squeezed.shape[1]:
        squeezed = squeezed.T
    if squeezed.min() < 0 or squeezed.max() > np.iinfo(np.int16).max:
        raise ValueError("its codes are out of range")
    # Encoders have written files of nothing but zeros.
    if not squeezed.any():
        raise ValueError("its codes are all zero")
    return np.ascontiguousarray(squeezed).astype(np.int16)
