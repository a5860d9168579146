"""Open, list and write files of the lake, in a folder or below a prefix of an S3-compatible object store.

Credentials, region and endpoint of a store are the standard `AWS_*` variables of the environment. Data files are read
through local copies (warehouse/lake/block_cache.py) in the folder `VALLE_CACHE`, by default `~/.cache/valle`.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

import duckdb
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from warehouse.errors import LakeError
from warehouse.files import atomic_write
from warehouse.lake.block_cache import CachedFile, CachedObject

SCHEME = "s3://"
# The region that stores without regions expect.
_REGION = "us-east-1"
T = TypeVar("T")


@dataclass(frozen=True, slots=True, order=True)
class ObjectPath:
    """A path on an object store; it joins with `/` and prints as a `pathlib.Path` does."""

    url: str

    def __truediv__(self, name: str) -> "ObjectPath":
        return ObjectPath(f"{self.url.rstrip('/')}/{name}")

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """The text after the last slash."""
        return self.url.rpartition("/")[2]

    @property
    def parent(self) -> "ObjectPath":
        """The path before the last slash."""
        return ObjectPath(self.url.rpartition("/")[0])

    @property
    def key(self) -> str:
        """Bucket and key, as the client names them."""
        return self.url.removeprefix(SCHEME)


Location = Path | ObjectPath


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of the lake: its location, its bytes, and the seconds since 1970 of its last change."""

    location: Location
    size: int
    modified: float


def location_of(text: str) -> Location:
    """Return the location that a path or an `s3://` URL names. Raises LakeError for a URL of another kind."""
    if text.startswith(SCHEME):
        return ObjectPath(text.rstrip("/"))
    if "://" in text:
        raise LakeError(f"A lake is a folder or a prefix s3://bucket/prefix, not {text!r}.")
    return Path(text)


def relative_name(location: Location, root: Location) -> str:
    """Return the name of a location below `root`, with forward slashes."""
    if isinstance(location, Path) and isinstance(root, Path):
        return location.relative_to(root).as_posix()
    return str(location).removeprefix(f"{root}/")


def storage_options(location: Location) -> dict[str, str] | None:
    """Return the options that the Delta library needs beyond the environment."""
    if isinstance(location, Path):
        return None
    options = {"AWS_REGION": os.environ.get("AWS_REGION", _REGION)}
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    if endpoint:
        options |= {"AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": str(endpoint.startswith("http://")).lower()}
    return options


def open_parquet(location: Location, *, from_store: bool = False) -> pq.ParquetFile:
    """Open a data file, to be read by row groups; `from_store` bypasses the local copies.

    The checksum of every page that is read is verified. Raises OSError or pyarrow's errors where it cannot be read.
    """
    if isinstance(location, Path):
        return pq.ParquetFile(location, page_checksum_verification=True)
    if from_store:
        return pq.ParquetFile(location.key, filesystem=_client(), page_checksum_verification=True)
    return pq.ParquetFile(CachedFile(_cached(location.key)), page_checksum_verification=True)


def read_parquet(location: Location) -> pa.Table:
    """Read a whole data file. Raises OSError or pyarrow's errors where it cannot be read."""
    with open_parquet(location) as file:
        return file.read()


def files_below(folder: Location) -> Iterator[StoredFile]:
    """Yield the files directly in a folder, sorted; none when it does not exist."""
    if isinstance(folder, Path):
        for path in sorted(folder.glob("*")):
            if path.is_file():
                status = path.stat()
                yield StoredFile(path, status.st_size, status.st_mtime)
        return
    found = _on_store(folder, lambda: _client().get_file_info(pafs.FileSelector(folder.key, allow_not_found=True)))
    for info in sorted(found, key=lambda info: info.path):
        if info.type == pafs.FileType.File:
            yield StoredFile(ObjectPath(SCHEME + info.path), info.size, info.mtime.timestamp())


def read_bytes(location: Location) -> bytes:
    """Read a whole file as it is stored, bypassing the local copies."""
    if isinstance(location, Path):
        return location.read_bytes()
    with _on_store(location, lambda: _client().open_input_stream(location.key)) as stream:
        return bytes(stream.read())


def read_text(location: Location) -> str:
    """Read a small text file."""
    return read_bytes(location).decode()


def write_text(location: Location, text: str, *, durable: bool = True) -> None:
    """Write a small text file, whole or not at all; see `atomic_write`."""
    if isinstance(location, ObjectPath):
        _on_store(location, lambda: _put(location, text.encode()))
        return
    with atomic_write(location, durable=durable) as temporary:
        temporary.write_text(text, encoding="utf-8")


def create_text(location: Location, text: str) -> bool:
    """Write a small file that does not exist yet and return true; return false where it exists.

    In a folder one of several writers succeeds. On an object store two that look at the same moment may both succeed.
    """
    if isinstance(location, ObjectPath):
        if find_file(location) is not None:
            return False
        write_text(location, text)
        return True
    location.parent.mkdir(parents=True, exist_ok=True)
    try:
        with location.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return False
    return True


def find_file(location: Location) -> StoredFile | None:
    """Return the size and time of a file, or None where there is none."""
    if isinstance(location, Path):
        try:
            status = location.stat()
        except FileNotFoundError:
            return None
        return StoredFile(location, status.st_size, status.st_mtime)
    info = _on_store(location, lambda: _client().get_file_info(location.key))
    return StoredFile(location, info.size, info.mtime.timestamp()) if info.type == pafs.FileType.File else None


def upload(path: Path, target: ObjectPath) -> None:
    """Copy a local file to a store, where it is visible once it is whole. Raises LakeError when the store refuses."""
    content = path.read_bytes()
    _on_store(target, lambda: _put(target, content))
    _cached(target.key).keep(content)


def local_folder(location: Location) -> Path:
    """Return a folder of this machine for files that only it needs: the location itself, or one beside its copies."""
    return location if isinstance(location, Path) else _cache_folder() / location.key


def delete(location: Location) -> None:
    """Remove a file."""
    if isinstance(location, Path):
        location.unlink()
    else:
        _on_store(location, lambda: _client().delete_file(location.key))


def let_read(connection: duckdb.DuckDBPyConnection) -> None:
    """Let a DuckDB connection read `s3://` through this module; DuckDB's own extension would be a download."""
    from warehouse.lake.cached_store import CachedStore  # fsspec, which a lake in a folder does not need

    connection.register_filesystem(CachedStore(_cached))


def _put(location: ObjectPath, content: bytes) -> None:
    with _client().open_output_stream(location.key) as stream:
        stream.write(content)


def _on_store(location: ObjectPath, act: Callable[[], T]) -> T:
    try:
        return act()
    except (OSError, pa.ArrowException) as error:
        raise LakeError(
            f"The object store does not answer for {location} ({str(error).splitlines()[0]}); "
            "check AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        ) from error


def _cached(key: str) -> CachedObject:
    return CachedObject(_client(), key, _cache_folder() / key)


def _cache_folder() -> Path:
    return Path(os.environ.get("VALLE_CACHE") or "~/.cache/valle").expanduser()


def _client() -> pafs.S3FileSystem:
    return _client_of(os.environ.get("AWS_ENDPOINT_URL") or None, os.environ.get("AWS_REGION", _REGION))


@cache
def _client_of(endpoint: str | None, region: str) -> pafs.S3FileSystem:
    """Return the client of this process for a store; it opens connections on first use."""
    return pafs.S3FileSystem(
        region=region,
        endpoint_override=endpoint,
        scheme="http" if endpoint and endpoint.startswith("http://") else "https",
        allow_delayed_open=True,  # A small object is one request instead of the three of a multipart upload.
    )
