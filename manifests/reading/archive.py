"""Tar archives read in place: byte ranges that begin between groups of members, and the members of a range.

Members that share a stem and follow each other (`a.mp3`, `a.json`) are a group, as WebDataset writes them. Ranges
are found by looking for a header near each multiple of the wanted size, so listing a tar of any size reads a few
hundred kilobytes per range and not one header per member.
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

BLOCK = 512
_WINDOW = 1 << 20
_END_MARK = bytes(BLOCK)


@dataclass(frozen=True, slots=True)
class ByteRange:
    """`size` bytes at `offset` of an archive."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A regular file inside a tar; `content` is None for one that is cut off by the end of the archive."""

    name: str
    offset: int
    size: int
    content: bytes | None

    @property
    def stem(self) -> str:
        """The name without its last suffix: what the members of a group share."""
        return stem_of(self.name)

    @property
    def suffix(self) -> str:
        """The last suffix in lower case, with its dot."""
        return self.name[len(self.stem) :].lower()


@dataclass(frozen=True, slots=True)
class ArchiveFault:
    """Where an archive stops being readable, and why."""

    offset: int
    detail: str


def stem_of(name: str) -> str:
    """`name` without its last suffix."""
    folder, slash, base = name.rpartition("/")
    stem = base.rpartition(".")[0] or base
    return f"{folder}{slash}{stem}"


def split_archive(path: str, wanted: int) -> Iterator[ByteRange]:
    """Ranges of about `wanted` bytes that cover the archive and never divide a group.

    An archive without readable headers is one range. Raises OSError when it cannot be opened.
    """
    with Path(path).open("rb") as file:
        size = file.seek(0, 2)
        start = 0
        while start < size:
            target = start + wanted
            end = (_next_group(file, target) if target < size else None) or size
            yield ByteRange(start, end - start)
            start = end


def _next_group(file: BinaryIO, target: int) -> int | None:
    """Offset of the second group that begins after `target`: the first header met may be the rest of a longer one."""
    header = _find_header(file, -(-target // BLOCK) * BLOCK)
    if header is None:
        return None
    changes, stem = 0, None
    for info in _headers(file, header):
        if stem is not None and stem_of(info.name) != stem:
            changes += 1
        stem = stem_of(info.name)
        if changes == 2:
            return info.offset
    return None


def _find_header(file: BinaryIO, start: int) -> int | None:
    """Offset of the first block at or after `start` that is a tar header: its magic and its checksum agree."""
    file.seek(start)
    while window := file.read(_WINDOW):
        for at in range(0, len(window) - BLOCK + 1, BLOCK):
            block = window[at : at + BLOCK]
            if block[257:262] == b"ustar" and _is_header(block):
                return start + at
        start += len(window)
    return None


def _is_header(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _headers(file: BinaryIO, start: int) -> Iterator[tarfile.TarInfo]:
    """Headers from `start` on, until the end mark or the first one that cannot be read."""
    file.seek(start)
    try:
        archive = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115 - closing it would close nothing of ours
        while (info := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # tarfile keeps every header it has seen
            yield info
    except tarfile.TarError:
        return


def read_members(path: str, part: ByteRange) -> Iterator[Member | ArchiveFault]:
    """The regular files of a range with their content; a fault, last, when the archive breaks off inside it.

    Raises OSError when the archive cannot be opened.
    """
    with Path(path).open("rb") as file:
        size = file.seek(0, 2)
        limit = min(part.offset + part.size, size)
        position = part.offset
        for info in _headers(file, part.offset):
            if info.offset >= limit:
                return
            position = info.offset_data + -(-info.size // BLOCK) * BLOCK
            if not info.isreg():
                continue
            whole = info.offset_data + info.size <= size
            file.seek(info.offset_data)
            content = file.read(info.size) if whole else None
            yield Member(name=info.name, offset=info.offset_data, size=info.size, content=content)
            if not whole:
                return
        if position < limit or limit == size:
            yield from _fault_at(file, position, size)


def _fault_at(file: BinaryIO, position: int, size: int) -> Iterator[ArchiveFault]:
    file.seek(position)
    block = file.read(BLOCK)
    if block != _END_MARK:
        what = "not a tar header" if block else "no end mark"
        yield ArchiveFault(position, f"{what} at byte {position} of {size}")
