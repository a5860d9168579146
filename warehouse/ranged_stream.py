"""A seekable, read-only stream over anything that returns ranges of bytes."""

import io
from abc import ABC, abstractmethod
from typing import BinaryIO


class RangedStream(io.RawIOBase, ABC):
    """A stream of `size` bytes; a subclass returns the bytes of a range."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._position = 0

    @abstractmethod
    def read_range(self, start: int, stop: int) -> bytes:
        """Return bytes from `start`, at least one and none beyond `stop`, which is within the size."""

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to `offset` bytes from the start, the position or the end, and return the position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed: any buffer
        """Fill `buffer` from the position on and return the number of bytes read; 0 at the end."""
        view = memoryview(buffer).cast("B")
        stop = min(self._position + len(view), self._size)
        if stop <= self._position:
            return 0
        content = self.read_range(self._position, stop)
        view[: len(content)] = content
        self._position += len(content)
        return len(content)


class FileRange(RangedStream):
    """A range of bytes of an open file, behind a `head` that replaces the bytes before it."""

    def __init__(self, file: BinaryIO, offset: int, size: int, head: bytes = b"") -> None:
        super().__init__(len(head) + size)
        self._file, self._offset, self._head = file, offset, head

    def read_range(self, start: int, stop: int) -> bytes:
        """Return bytes of the head, or else of the file."""
        if start < len(self._head):
            return self._head[start:stop]
        self._file.seek(self._offset + start - len(self._head))
        return self._file.read(stop - start)


def open_range(file: BinaryIO, offset: int, size: int, head: bytes = b"") -> BinaryIO:
    """Return a buffered reader of a range of bytes behind `head`; `file` must stay open."""
    return io.BufferedReader(FileRange(file, offset, size, head), 1 << 16)
