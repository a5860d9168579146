"""Read objects of a store through local copies of their blocks.

The objects that the lake reads by ranges never change: the name of a data file is the hash of its bytes. A block is
fetched once and then read from this machine's disk by all of its processes, so that opening the views again, which
reads the footer of every data file, costs no request. The copies may be removed while nothing runs.
"""

from dataclasses import dataclass
from pathlib import Path

import pyarrow.fs as pafs

from warehouse.files import atomic_write
from warehouse.ranged_stream import RangedStream

# Most data files of a shard are one block; of a large file of codes the ids are read without the codes.
_BLOCK = 1 << 20
_SIZE = "size"


@dataclass(frozen=True, slots=True)
class CachedObject:
    """An object that never changes: `key` is its bucket and key, `folder` holds its blocks."""

    client: pafs.FileSystem
    key: str
    folder: Path

    def size(self) -> int:
        """Return its bytes. Raises FileNotFoundError for a missing object, OSError when the store does not answer.

        The first call also fetches the last block: it holds the footer, and often the whole object.
        """
        stored = self.folder / _SIZE
        if stored.exists():
            return int(stored.read_text(encoding="ascii"))
        with self.client.open_input_file(self.key) as stream:
            size: int = stream.size()
            last = max(size - 1, 0) // _BLOCK
            self._keep_blocks(last, stream.read_at(size - last * _BLOCK, last * _BLOCK))
        self._keep(_SIZE, str(size).encode())
        return size

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` to `end`; fetch the blocks without a copy in one request."""
        blocks = range(start // _BLOCK, -(-end // _BLOCK))
        missing = [block for block in blocks if not (self.folder / str(block)).exists()]
        if missing:
            self._fetch(missing[0], missing[-1] + 1)
        return b"".join(self._slice(block, start, end) for block in blocks)

    def keep(self, content: bytes) -> None:
        """Store copies of the content of an object that this process has just written."""
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
        # Not durable: a copy that a power cut loses is fetched again.
        with atomic_write(self.folder / name, durable=False) as temporary:
            temporary.write_bytes(content)


class CachedFile(RangedStream):
    """A cached object as a read-only file."""

    def __init__(self, source: CachedObject) -> None:
        super().__init__(source.size())
        self._source = source

    def read_range(self, start: int, stop: int) -> bytes:
        """Return the bytes, from the cache where they are in it."""
        return self._source.read(start, stop)
