"""Read a range of bytes of a file as a file of its own, behind other first bytes."""

import io
from dataclasses import dataclass
from typing import BinaryIO


class FileRange(io.RawIOBase):
    """A range of bytes of an open file, behind a `head` that replaces the bytes before it."""

    def __init__(self, file: BinaryIO, offset: int, size: int, head: bytes = b"") -> None:
        self._file, self._offset, self._head = file, offset, head
        self._size = len(head) + size
        self._position = 0

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

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill `buffer` from the position on and return the bytes that were read."""
        count = min(len(buffer), max(0, self._size - self._position))
        if self._position < len(self._head):
            data = self._head[self._position : self._position + count]
        else:
            self._file.seek(self._offset + self._position - len(self._head))
            data = self._file.read(count)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def open_range(file: BinaryIO, offset: int, size: int, head: bytes = b"") -> BinaryIO:
    """Return a buffered reader of a range of bytes behind `head`; `file` must stay open."""
    return io.BufferedReader(FileRange(file, offset, size, head), 1 << 16)


@dataclass(frozen=True, slots=True)
class MendedHeader:
    """The audio behind a header that declares all of it, and the samples that its own header declares, if any."""

    file: BinaryIO
    declared_samples: int | None = None
