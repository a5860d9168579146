"""Unpickling of arrays and plain values alone.

A pickle names functions and calls them, so a file of codes may run any program. Here the only names that resolve are
those that rebuild a numpy array or a torch tensor; every other name is an error before anything is called.
"""

import io
import pickle
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]

_STORAGES = {
    "ByteStorage": np.uint8,
    "CharStorage": np.int8,
    "ShortStorage": np.int16,
    "IntStorage": np.int32,
    "LongStorage": np.int64,
    "HalfStorage": np.float16,
    "FloatStorage": np.float32,
    "DoubleStorage": np.float64,
    "BoolStorage": np.bool_,
}


class UnreadableArrays(ValueError):
    """A file that is damaged, or that names something other than an array."""


def load_arrays(content: bytes) -> Any:
    """Unpickle arrays, scalars and plain values. Raises UnreadableArrays for anything else and for damaged content."""
    return _load(_ArraysOnly(io.BytesIO(content)))


def load_torch(content: bytes) -> Any:
    """Read what `torch.save` wrote, tensors as arrays. Raises UnreadableArrays as `load_arrays`."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            name = next(entry for entry in archive.namelist() if entry.endswith("/data.pkl"))
            return _load(_TensorsOnly(archive, name.removesuffix("/data.pkl"), archive.read(name)))
    except (zipfile.BadZipFile, StopIteration, KeyError) as error:
        raise UnreadableArrays("it is no file of torch tensors, or damaged") from error


def _load(unpickler: pickle.Unpickler) -> Any:
    try:
        return unpickler.load()
    except UnreadableArrays:
        raise
    except Exception as error:
        raise UnreadableArrays(f"it is damaged ({error})") from error


def _encode_latin1(text: str, encoding: str = "latin1") -> bytes:
    """Return the bytes that old protocols of pickle store as text."""
    return text.encode("latin1" if encoding != "utf-8" else encoding)


def _numpy_names() -> dict[tuple[str, str], Any]:
    # Where numpy keeps these two changed with version 2; both names are in files.
    reconstruct, scalar = np.empty(0).__reduce__()[0], np.float64(0).__reduce__()[0]
    names: dict[tuple[str, str], Any] = {("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype}
    for module in ("numpy._core.multiarray", "numpy.core.multiarray"):
        names |= {(module, "_reconstruct"): reconstruct, (module, "scalar"): scalar}
    return names | {("_codecs", "encode"): _encode_latin1}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return one of the functions that rebuild arrays. Raises UnreadableArrays for every other name."""
        found = _numpy_names().get((module, name))
        if found is None:
            raise UnreadableArrays(f"it wants to run {module}.{name}, which is no array")
        return found


class _TensorsOnly(_ArraysOnly):
    def __init__(self, archive: zipfile.ZipFile, folder: str, content: bytes) -> None:
        super().__init__(io.BytesIO(content))
        self._archive, self._folder = archive, folder

    def find_class(self, module: str, name: str) -> Any:
        """Return the functions that rebuild tensors as arrays, and the types of their storages."""
        names: dict[tuple[str, str], Callable[..., Any]] = {
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
            ("collections", "OrderedDict"): dict,
        }
        if module == "torch" and name in _STORAGES:
            return np.dtype(_STORAGES[name])
        return names.get((module, name)) or super().find_class(module, name)

    def persistent_load(self, identifier: Any) -> Array:
        """Read the elements of a storage."""
        _, dtype, key, _, size = identifier
        return np.frombuffer(self._archive.read(f"{self._folder}/data/{key}"), dtype)[: int(size)]


def _rebuild(storage: Array, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Array:
    """Return the tensor of a storage, as an array. Raises UnreadableArrays where it exceeds its storage."""
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if min(size, default=1) > 0 and not 0 <= last < len(storage):
        raise UnreadableArrays("a tensor is larger than its storage")
    steps = tuple(step * storage.itemsize for step in stride)
    return np.lib.stride_tricks.as_strided(storage[offset:], size, steps).copy()
