"""Objects of a store read through local copies of their blocks.

What the lake reads by ranges never changes: the name of a part is the hash of its bytes. A block that was read once
is read from this machine's disk ever after, by every process of it, so that opening the views again, which looks at
the footer of every part, costs the store nothing. The copies may be removed while nothing runs.
"""

import io
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
from fsspec import AbstractFileSystem

_BLOCK = 1 << 20
"""Most parts of a shard are one block; a large part of codes gives up its ids without its codes."""
_SIZE = "size"


@dataclass(frozen=True, slots=True)
class CachedObject:
    """An object that never changes: `key` is its bucket and key, `folder` where its blocks are kept."""

    client: pafs.FileSystem
    key: str
    folder: Path

    def size(self) -> int:
        """Its bytes. Raises FileNotFoundError when the store has no such object, OSError when it does not answer.

        The first look fetches the last block too: a footer is there, and mostly it is all.
        """
        known = self.folder / _SIZE
        if known.exists():
            return int(known.read_text(encoding="ascii"))
        with self.client.open_input_file(self.key) as stream:
            size: int = stream.size()
            last = max(size - 1, 0) // _BLOCK
            self._keep_blocks(last, stream.read_at(size - last * _BLOCK, last * _BLOCK))
        self._keep(_SIZE, str(size).encode())
        return size

    def read(self, start: int, end: int) -> bytes:
        """The bytes from `start` to `end`, fetching the blocks that are not kept in one request."""
        wanted = range(start // _BLOCK, -(-end // _BLOCK))
        missing = [block for block in wanted if not (self.folder / str(block)).exists()]
        if missing:
            self._fetch(missing[0], missing[-1] + 1)
        return b"".join(self._slice(block, start, end) for block in wanted)

    def keep(self, content: bytes) -> None:
        """Keep the content of an object that this process has just written."""
        self._keep_blocks(0, content)
        self._keep(_SIZE, str(len(content)).encode())

    def _fetch(self, first: int, stop: int) -> None:
        with self.client.open_input_file(self.key) as stream:
            start = first * _BLOCK
            self._keep_blocks(first, stream.read_at(min(stop * _BLOCK, self.size()) - start, start))

    def _slice(self, block: int, start: int, end: int) -> bytes:
        low, high = max(start - block * _BLOCK, 0), min(end - block * _BLOCK, _BLOCK)
        with (self.folder / str(block)).open("rb") as stream:
            stream.seek(low)
            return stream.read(high - low)

    def _keep_blocks(self, first: int, content: bytes) -> None:
        for offset in range(0, len(content), _BLOCK):
            self._keep(str(first + offset // _BLOCK), content[offset : offset + _BLOCK])

    def _keep(self, name: str, content: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".{name}.{os.getpid()}-{os.urandom(6).hex()}.tmp"
        try:
            temporary.write_bytes(content)
            temporary.replace(self.folder / name)
        finally:
            temporary.unlink(missing_ok=True)


class CachedFile(io.RawIOBase):
    """A cached object as a file that is only read."""

    def __init__(self, source: CachedObject) -> None:
        self._source = source
        self._size = source.size()
        self._position = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """The position of the next byte to be read."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position, counted as for any file."""
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` from the position on; the bytes that were there to read."""
        view = memoryview(buffer).cast("B")
        end = min(self._position + len(view), self._size)
        if end <= self._position:
            return 0
        content = self._source.read(self._position, end)
        view[: len(content)] = content
        self._position += len(content)
        return len(content)


class CachedStore(AbstractFileSystem):
    """What DuckDB reads `s3://` through; `find` gives the cached object of a bucket and key."""

    protocol = "s3"
    cachable = False

    def __init__(self, find: Callable[[str], CachedObject]) -> None:
        super().__init__()
        self._find = find

    def info(self, path: str, **_: object) -> dict[str, object]:
        """Name, size and kind of an object. Raises FileNotFoundError where there is none."""
        key = self._strip_protocol(path)
        return {"name": key, "size": self._find(key).size(), "type": "file"}

    def modified(self, path: str) -> datetime:
        """One time for all: DuckDB asks whether an object has changed, and none ever does."""
        return datetime(2000, 1, 1, tzinfo=UTC)

    def glob(self, path: str, maxdepth: int | None = None, **_: object) -> Iterable[str]:
        """The path itself; the views name parts one by one."""
        return [self._strip_protocol(path)]

    def _open(self, path: str, mode: str = "rb", *_: object, **__: object) -> CachedFile:
        return CachedFile(self._find(self._strip_protocol(path)))
