"""Read tar archives in place: byte ranges that begin between members, the members of a range, and an index.

Ranges are found by looking for a header near each multiple of the wanted size, so listing a tar of any size reads a few
hundred kilobytes per range and not one header per member. Files that an operating system adds (`._x`, `.DS_Store`) are
no members.
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from manifests.reading.regular import open_regular

BLOCK = 512
_WINDOW = 1 << 20
_END_MARK = bytes(BLOCK)
_COMPRESSIONS = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


@dataclass(frozen=True, slots=True)
class ByteRange:
    """`size` bytes at `offset` of an archive."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A regular file inside a tar: its name and its range of bytes; `is_cut_off` when the archive ends inside it."""

    name: str
    offset: int
    size: int
    is_cut_off: bool = False

    @property
    def stem(self) -> str:
        """The name without its last suffix."""
        return stem_of(self.name)

    @property
    def key(self) -> str:
        """The name without all of its suffixes, as WebDataset groups members (`a.speech.flac`, `a.meta.json`)."""
        folder, slash, base = self.name.rpartition("/")
        return f"{folder}{slash}{base.partition('.')[0] or base}"

    @property
    def suffix(self) -> str:
        """The last suffix in lower case, with its dot."""
        return self.name[len(self.stem) :].lower()


@dataclass(frozen=True, slots=True)
class ArchiveFault:
    """The byte at which an archive stops being readable, and the reason."""

    offset: int
    detail: str


def stem_of(name: str) -> str:
    """Return `name` without its last suffix."""
    folder, slash, base = name.rpartition("/")
    stem = base.rpartition(".")[0] or base
    return f"{folder}{slash}{stem}"


def split_archive(path: str, size: int) -> Iterator[ByteRange]:
    """Yield ranges of about `size` bytes that cover the archive; neighbours with one stem stay in one range.

    An archive without readable headers is one range. Raises OSError when it cannot be opened.
    """
    with open_regular(path) as file:
        end_of_file = file.seek(0, 2)
        start = 0
        while start < end_of_file:
            target = start + size
            end = (_next_group(file, target) if target < end_of_file else None) or end_of_file
            yield ByteRange(start, end - start)
            start = end


def _next_group(file: BinaryIO, target: int) -> int | None:
    """Return the offset of the second group after `target`: the first header met may belong to a longer one."""
    header = _find_header(file, -(-target // BLOCK) * BLOCK)
    if header is None:
        return None
    # The stem of the first header is that of a group already begun, so its end is not known: the second change is.
    changes, stem = 0, None
    for info in _headers(file, header):
        if _is_system_file(info.name):
            continue
        if stem is not None and stem_of(info.name) != stem:
            changes += 1
        stem = stem_of(info.name)
        if changes == 2:
            return info.offset
    return None


def _find_header(file: BinaryIO, start: int) -> int | None:
    """Return the offset of the first block from `start` on with the magic and the checksum of a tar header."""
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


def _is_system_file(name: str) -> bool:
    """Return whether a member is one that macOS or a file manager has added beside the real ones."""
    parts = name.split("/")
    return parts[-1].startswith(".") or "__MACOSX" in parts


def _headers(file: BinaryIO, start: int) -> Iterator[tarfile.TarInfo]:
    """Yield the headers from `start` on, until the end mark or the first one that cannot be read."""
    file.seek(start)
    try:
        archive = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115 - the file belongs to the caller
        while (info := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # tarfile keeps every header it has seen
            yield info
    except tarfile.TarError:
        return


def list_members(file: BinaryIO, span: ByteRange) -> Iterator[Member | ArchiveFault]:
    """Yield the regular files of a range; a fault, last, when the archive breaks off inside it."""
    size = file.seek(0, 2)
    limit = min(span.offset + span.size, size)
    position = span.offset
    for info in _headers(file, span.offset):
        if info.offset >= limit:
            return
        position = info.offset_data + -(-info.size // BLOCK) * BLOCK
        is_cut_off = info.offset_data + info.size > size
        if info.isreg() and not _is_system_file(info.name):
            yield Member(name=info.name, offset=info.offset_data, size=info.size, is_cut_off=is_cut_off)
        if is_cut_off:
            return
    if position < limit or limit == size:
        yield from _fault_at(file, position, size)


def _fault_at(file: BinaryIO, position: int, size: int) -> Iterator[ArchiveFault]:
    file.seek(position)
    block = file.read(BLOCK)
    if block == _END_MARK:
        return
    compressed = next((name for mark, name in _COMPRESSIONS.items() if block.startswith(mark)), None)
    if position == 0 and compressed:
        yield ArchiveFault(position, f"it is compressed by {compressed}: unpack it to a plain tar")
    else:
        found = "not a tar header" if block else "no end mark"
        yield ArchiveFault(position, f"{found} at byte {position} of {size}")


def read_member(file: BinaryIO, member: Member) -> bytes:
    """Return the content of a member."""
    file.seek(member.offset)
    return file.read(member.size)
