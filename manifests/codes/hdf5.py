"""HDF5 files of e-c-k-e-r/vall-e: `SPLIT/GROUP/SPEAKER/ID/audio`, int16 (T, K); text and phonemes are attributes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from manifests.codes.containers import UnreadableCodes, checked_codes
from manifests.reading.regular import open_regular
from warehouse.errors import DependencyError

if TYPE_CHECKING:
    import h5py

CODES = "audio"
# Codes of one utterance; a stored shape costs nothing and would fill the memory.
_LARGEST_CODES = 1 << 28


@dataclass(frozen=True, slots=True)
class Hdf5Item:
    """One utterance: its path in the file, and codes [K, T] with the metadata of the file."""

    path: str
    codes: NDArray[np.int16]
    metadata: Mapping[str, Any]


def open_hdf5(path: Path) -> "h5py.File":
    """Open a file for reading. Raises DependencyError without h5py and UnreadableCodes for a file that is none."""
    try:
        import h5py
    except ImportError as error:
        raise DependencyError("HDF5 files need h5py: run `pip install h5py`.") from error
    try:
        open_regular(str(path)).close()
        return h5py.File(path, "r")
    except OSError as error:
        raise UnreadableCodes(f"{path} cannot be read: {error}") from error


def item_paths(file: "h5py.File") -> list[str]:
    """Return the paths of all utterances, in the order of their names; no codes are read."""
    found: list[str] = []
    file.visit(lambda name: found.append(name.rpartition("/")[0]) if name.rpartition("/")[2] == CODES else None)
    return sorted(found)


def read_item(file: "h5py.File", path: str) -> Hdf5Item:
    """Read one utterance. Raises UnreadableCodes for codes that cannot be right or read."""
    try:
        dataset = file[f"{path}/{CODES}"]
        _check_place(dataset, file)
        frames = np.asarray(dataset[()])
        # Stored frames first, of any number.
        return Hdf5Item(path, checked_codes(frames.T[None]), {name: _plain(v) for name, v in file[path].attrs.items()})
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise UnreadableCodes(f"{path} of {file.filename} cannot be read: {error}") from error


def _check_place(dataset: "h5py.Dataset", file: "h5py.File") -> None:
    """Raise ValueError for codes of another file, and for a shape with more codes than a file has bytes for."""
    if dataset.file.filename != file.filename or dataset.external or dataset.is_virtual:
        raise ValueError("its codes are in another file")
    if dataset.size > _LARGEST_CODES:
        raise ValueError(f"its codes have the shape {dataset.shape}")


def read_items(path: Path) -> Iterator[Hdf5Item]:
    """Read every utterance of a file. Errors as `open_hdf5` and `read_item`."""
    with open_hdf5(path) as file:
        for item in item_paths(file):
            yield read_item(file, item)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
