"""Mend the length that the header of an audio file declares.

Recorders that were cut off, streams and careless tools leave a length that is zero, an estimate or wrong; libsndfile
then decodes no further. `mend_header` shows it the same audio behind a header that declares as much as the bytes could
encode, so that decoding ends with the audio.
"""

import io
from dataclasses import dataclass
from typing import BinaryIO

_SEARCHED = 1 << 20
"""Bytes at the beginning of a file in which its header must end."""

_MANY_FRAMES = 10_000_000
"""MPEG frames that a mended header declares: three days at 24 kHz."""


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


def mend_header(file: BinaryIO) -> MendedHeader | None:
    """Return the audio of `file` behind a mended header; None where the header can be trusted or is of another kind.

    WAV: only when the size of the data is more or less than there is. FLAC: only without a length. MP3: always, since
    its header is an estimate or somebody's note.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    start = file.read(12)
    if start[:4] == b"RIFF" and start[8:] == b"WAVE":
        return _mend_wav(file, size)
    if start[:4] == b"fLaC":
        return _mend_flac(file, size)
    return _mend_mp3(file, size)


def _mend_wav(file: BinaryIO, size: int) -> MendedHeader | None:
    """Declare the data of a WAV to end with the file, unless its chunks fit the file."""
    position, block_align = 12, 0
    while position + 8 <= min(size, _SEARCHED):
        file.seek(position)
        name, length = file.read(4), int.from_bytes(file.read(4), "little")
        if name == b"fmt ":
            block_align = int.from_bytes(file.read(14)[12:14], "little")
        if name == b"data":
            return _mend_wav_data(file, position + 8, length, size, block_align)
        position += 8 + length + length % 2
    return None


def _mend_wav_data(file: BinaryIO, start: int, length: int, size: int, block_align: int) -> MendedHeader | None:
    # What follows the data must be a chunk; where it is not, the size is wrong and it is audio.
    end = start + length
    if block_align == 0 or end == size or (end < size and _is_chunk(file, end + length % 2, size)):
        return None
    available = min(size - start, 0xFFFFFFFF)
    file.seek(0)
    head = bytearray(file.read(start))
    head[4:8] = min(size - 8, 0xFFFFFFFF).to_bytes(4, "little")
    head[start - 4 : start] = available.to_bytes(4, "little")
    # A stream that was never finished declares nothing, or the largest number there is.
    declared = None if length == 0 or length >= 0x7FFFF000 else length // block_align
    return MendedHeader(open_range(file, start, size - start, bytes(head)), declared)


def _is_chunk(file: BinaryIO, position: int, size: int) -> bool:
    """Return whether a chunk of a RIFF file begins at `position`, or the file ends there."""
    if position >= size:
        return True
    file.seek(position)
    name, length = file.read(4), file.read(4)
    is_name = len(name) == 4 and all(0x20 <= byte < 0x7F for byte in name)
    return is_name and len(length) == 4 and position + 8 + int.from_bytes(length, "little") <= size


def _mend_flac(file: BinaryIO, size: int) -> MendedHeader | None:
    """Declare the most samples that STREAMINFO can hold, when it declares none (RFC 9639, 8.2)."""
    file.seek(0)
    head = bytearray(file.read(26))
    if len(head) < 26 or head[21] & 0x0F or any(head[22:26]):
        return None
    head[21] |= 0x0F
    head[22:26] = b"\xff" * 4
    return MendedHeader(open_range(file, len(head), size - len(head), bytes(head)))


@dataclass(frozen=True, slots=True)
class _MpegFrame:
    """A frame of MPEG audio, layer III, as its four bytes of header tell it (ISO/IEC 11172-3, 2.4.1.3)."""

    header: bytes
    is_mpeg_1: bool
    is_mono: bool
    sample_rate: int
    length: int

    @property
    def information_offset(self) -> int:
        """The byte at which a frame of information begins: behind header and side information."""
        if self.is_mpeg_1:
            return 4 + (17 if self.is_mono else 32)
        return 4 + (9 if self.is_mono else 17)


_KILOBITS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KILOBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_SAMPLE_RATES = (44_100, 48_000, 32_000)


def _parse_frame(header: bytes) -> _MpegFrame | None:
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2 or header[1] & 0x18 == 0x08:
        return None  # no sync, another layer than III, or a reserved version
    rate_index, bitrate_index = (header[2] >> 2) & 3, header[2] >> 4
    if rate_index == 3 or bitrate_index in (0, 15):
        return None
    version = (header[1] >> 3) & 3  # 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5
    is_mpeg_1 = version == 3
    rate = _SAMPLE_RATES[rate_index] // {3: 1, 2: 2, 0: 4}[version]
    kilobits = (_KILOBITS_1 if is_mpeg_1 else _KILOBITS_2)[bitrate_index]
    length = (144 if is_mpeg_1 else 72) * kilobits * 1000 // rate + ((header[2] >> 1) & 1)
    return _MpegFrame(header[:4], is_mpeg_1, header[3] >> 6 == 3, rate, length)


def _mend_mp3(file: BinaryIO, size: int) -> MendedHeader | None:
    """Put a frame of information (Xing, Info) that declares very many frames in front of the frames of an MP3."""
    file.seek(0)
    skipped = _id3_size(file.read(10))
    file.seek(skipped)
    window = file.read(_SEARCHED)
    found = _first_frame(window)
    if found is None:
        return None
    at, frame = found
    information = window[at : at + frame.length]
    mark = information[frame.information_offset : frame.information_offset + 4]
    if mark in (b"Xing", b"Info") and information[frame.information_offset + 7] & 1:
        head = bytearray(information)  # its encoder delay stays
        rest = skipped + at + frame.length
    else:
        head = bytearray(_information_frame(frame))
        rest = skipped + at
    count = frame.information_offset + 8
    head[count : count + 4] = _MANY_FRAMES.to_bytes(4, "big")
    return MendedHeader(open_range(file, rest, max(0, size - rest), bytes(head)))


def has_counted_frames(file: BinaryIO) -> bool:
    """Return whether an MP3 declares its number of frames, and exactly these frames are there.

    Only the headers of the frames are read, in a tenth of the time of decoding.
    """
    file.seek(0)
    skipped = _id3_size(file.read(10))
    file.seek(skipped)
    found = _first_frame(file.read(_SEARCHED))
    if found is None:
        return False
    at, frame = found
    file.seek(skipped + at)
    information = file.read(frame.length)
    mark = information[frame.information_offset :]
    if mark[:4] not in (b"Xing", b"Info") or len(mark) < 12 or not mark[7] & 1:
        return False
    return _count_frames(file) == int.from_bytes(mark[8:12], "big")


def _count_frames(file: BinaryIO) -> int:
    """Return the number of whole frames that follow one another from the present position on."""
    lengths: dict[bytes, int] = {}  # of the few headers that one file has
    count, position, window = 0, 0, file.read(_SEARCHED)
    while True:
        header = window[position : position + 3]
        length = lengths.get(header)
        if length is None:
            frame = _parse_frame(header + b"\0") if len(header) == 3 else None
            length = lengths[header] = frame.length if frame else 0
        if length == 0 or position + length > len(window):
            rest = window[position:]
            window = rest + file.read(_SEARCHED)
            # Nothing to continue with: the end, or something that is no frame.
            if len(window) == len(rest) or (length == 0 and len(rest) >= 3):
                return count
            position = 0
            continue
        position += length
        count += 1


def _id3_size(head: bytes) -> int:
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    return 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))


def _first_frame(window: bytes) -> tuple[int, _MpegFrame] | None:
    """Return the first frame that another of its kind follows, and its position."""
    at = window.find(b"\xff")
    while at >= 0:
        frame = _parse_frame(window[at : at + 4])
        if frame is not None:
            following = _parse_frame(window[at + frame.length : at + frame.length + 4])
            if following is not None and following.sample_rate == frame.sample_rate:
                return at, frame
        at = window.find(b"\xff", at + 1)
    return None


def _information_frame(like: _MpegFrame) -> bytes:
    """Return an empty frame with the mark `Info` and a frame count, in the version, rate and channels of `like`."""
    # A bitrate whose frames have room for the mark at every sample rate.
    bitrate_index = 9 if like.is_mpeg_1 else 8
    header = bytes((0xFF, like.header[1] | 1, (bitrate_index << 4) | (like.header[2] & 0x0C), like.header[3]))
    frame = _parse_frame(header)
    assert frame is not None, "derived from a valid frame"
    content = bytearray(header).ljust(frame.length, b"\0")
    content[frame.information_offset : frame.information_offset + 8] = b"Info\0\0\0\x01"
    return bytes(content)
