"""Unpickling of arrays and plain values alone.

A pickle names functions and calls them, so a file of codes may run any program. Here the only names that resolve are
those that rebuild a numpy array or a torch tensor; every other name is an error before anything is called. Numpy and
torch also trust the layouts in a pickle: fields of objects at any address, steps that leave the memory. So types
are made from their names alone, and shapes are compared with the data that is there.
"""

import io
import math
import pickle
import zipfile
from collections.abc import Callable, Mapping
from types import MappingProxyType
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
            # What `torch.save` writes is not compressed, so no file becomes larger than it is.
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise UnreadableArrays("it is compressed, which no file of torch tensors is")
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


class _Type:
    """A type of elements by its name; its state may change the order of bytes and nothing else."""

    def __init__(self, name: str, *_: Any) -> None:
        if not isinstance(name, str) or (dtype := np.dtype(name)).kind not in _KINDS or dtype.fields or dtype.subdtype:
            raise UnreadableArrays(f"it has elements of the type {name!r}")
        self.dtype = dtype

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, order, *layout = state
        if any(part is not None for part in layout[:3]):
            raise UnreadableArrays("it has elements with fields")
        self.dtype = self.dtype.newbyteorder(order)


class _Array(np.ndarray[Any, np.dtype[Any]]):
    """An array that takes a pickled state only where its data fill its shape."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        version, shape, of, is_fortran, elements = state
        is_whole = isinstance(elements, list) and len(elements) == math.prod(shape)
        if of.dtype.hasobject and not is_whole:
            raise UnreadableArrays("an array is larger than its data")
        super().__setstate__((version, shape, of.dtype, is_fortran, elements))


def _reconstruct(*_: Any) -> _Array:
    """Return an empty array, whose state follows."""
    return _Array(0, np.uint8)


def _scalar(of: _Type, content: bytes | str) -> Any:
    raw = content.encode("latin1") if isinstance(content, str) else content
    return np.frombuffer(raw, of.dtype, count=1)[0]


# Booleans, integers, floats, complex numbers, text, bytes, and objects, which are unpickled here too.
_KINDS = "biufcUSO"
_NAMES: Mapping[tuple[str, str], Any] = MappingProxyType(
    {
        ("numpy", "ndarray"): None,
        ("numpy", "dtype"): _Type,
        ("_codecs", "encode"): _encode_latin1,
        # Where numpy keeps these two changed with version 2; both names are in files.
        **{
            (module, name): function
            for module in ("numpy._core.multiarray", "numpy.core.multiarray")
            for name, function in (("_reconstruct", _reconstruct), ("scalar", _scalar))
        },
    }
)


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return one of the functions that rebuild arrays. Raises UnreadableArrays for every other name."""
        if (module, name) not in _NAMES:
            raise UnreadableArrays(f"it wants to run {module}.{name}, which is no array")
        return _NAMES[module, name]


class _TensorsOnly(_ArraysOnly):
    def __init__(self, archive: zipfile.ZipFile, folder: str, content: bytes) -> None:
        super().__init__(io.BytesIO(content))
        self._archive, self._folder = archive, folder

    def find_class(self, module: str, name: str) -> Any:
        """Return the functions that rebuild tensors as arrays, and the types of their storages."""
        names: dict[tuple[str, str], Callable[..., Any]] = {
            ("torch._utils", "_rebuild_tensor_v2"): rebuild,
            ("collections", "OrderedDict"): dict,
        }
        if module == "torch" and name in _STORAGES:
            return np.dtype(_STORAGES[name])
        return names.get((module, name)) or super().find_class(module, name)

    def persistent_load(self, identifier: Any) -> Array:
        """Read the elements of a storage."""
        _, dtype, key, _, size = identifier
        return np.frombuffer(self._archive.read(f"{self._folder}/data/{key}"), dtype)[: int(size)]


def rebuild(storage: Array, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Array:
    """Return the tensor of a storage, as an array. Raises UnreadableArrays where it exceeds its storage."""
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    is_backwards = min((offset, *size, *stride)) < 0
    if is_backwards or math.prod(size) > len(storage) or (math.prod(size) > 0 and last >= len(storage)):
        raise UnreadableArrays("a tensor is larger than its storage")
    steps = tuple(step * storage.itemsize for step in stride)
    return np.lib.stride_tricks.as_strided(storage[offset:], size, steps).copy()
