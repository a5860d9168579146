"""Mend the size of the data in containers of uncompressed audio: WAV, RF64, AIFF, AU and CAF.

Recorders that were cut off and programs that write to a pipe leave a size of zero, the largest number there is, or one
that is wrong. libsndfile decodes no further than that size.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

from manifests.audio.mended_header import MendedHeader
from warehouse.ranged_stream import open_range

# Bytes at the beginning of a file in which its data must begin.
_SEARCHED = 1 << 20

# Sizes from here on, in four bytes, are left by streams that were never finished.
_UNKNOWN = 0x7FFF_F000

# Bytes of a sample by the encoding of an AU file.
_AU_BYTES = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}


# Codings of AIFF-C whose samples take the bits that the header declares.
_PLAIN_AIFC = (b"NONE", b"sowt", b"twos", b"raw ", b"in24", b"in32", b"fl32", b"FL32", b"fl64", b"FL64")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Data:
    """The audio data of a container as its header tells it.

    `fields` are the positions and widths in bytes of the numbers in the header, each with what is to be added to the
    available bytes, or None for the size of the file. `frame` is (bytes, samples) of the smallest piece of audio.
    """

    order: Literal["little", "big"]
    start: int
    length: int | None
    fields: tuple[tuple[int, int, int | None], ...]
    frame: tuple[int, int] | None
    chunk_width: int = 4
    pads: bool = True
    has_chunks: bool = True


def mend_container(file: BinaryIO) -> MendedHeader | None:
    """Return the audio behind a header whose data goes to the end of the file; None where the sizes are right."""
    size = file.seek(0, 2)
    file.seek(0)
    mark = file.read(4)
    data = CONTAINERS[mark](file, size)
    if data is None or (data.frame and data.frame[0] == 0):
        return None
    if data.length is not None and _is_right(file, data, size):
        return None
    available = size - data.start
    file.seek(0)
    head = bytearray(file.read(data.start))
    for position, width, added in data.fields:
        value = size - 8 if added is None else available + added
        head[position : position + width] = min(value, (1 << 8 * width) - 1).to_bytes(width, data.order)
    declared = None
    if data.length and data.frame is not None:
        declared = data.length // data.frame[0] * data.frame[1]
    return MendedHeader(open_range(file, data.start, available, bytes(head)), declared)


def _is_right(file: BinaryIO, data: _Data, size: int) -> bool:
    """Decide whether the data ends with the file, or before a chunk: what follows otherwise is audio."""
    assert data.length is not None
    end = data.start + data.length
    if end >= size or not data.has_chunks:
        return end == size
    end += data.length % 2 if data.pads else 0
    if end >= size:
        return True
    file.seek(end)
    name, length = file.read(4), file.read(data.chunk_width)
    is_name = len(name) == 4 and all(0x20 <= byte < 0x7F for byte in name)
    following = end + 4 + data.chunk_width + int.from_bytes(length, data.order)
    return is_name and len(length) == data.chunk_width and following <= size


def _chunks(
    file: BinaryIO, position: int, size: int, order: Literal["little", "big"], width: int = 4
) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, position of the content and declared size of each chunk at the beginning of a file."""
    while position + 4 + width <= min(size, _SEARCHED):
        file.seek(position)
        name, length = file.read(4), int.from_bytes(file.read(width), order)
        position += 4 + width
        yield name, position, length
        position += length + (length % 2 if width == 4 else 0)


def _known(length: int) -> int | None:
    return None if length == 0 or length >= _UNKNOWN else length


def _wav(file: BinaryIO, size: int) -> _Data | None:
    frame = None
    for name, at, length in _chunks(file, 12, size, "little"):
        if name == b"fmt ":
            frame = _wav_frame(file, at)
        if name == b"data":
            if frame is None:
                return None
            fields = ((at - 4, 4, 0), (4, 4, None))
            return _Data(order="little", start=at, length=_known(length), fields=fields, frame=frame)
    return None


def _wav_frame(file: BinaryIO, at: int) -> tuple[int, int]:
    """Return the bytes and samples of a block: ADPCM and GSM encode several samples in one."""
    file.seek(at)
    content = file.read(20)
    is_blocked = int.from_bytes(content[:2], "little") in (0x02, 0x11, 0x31)
    samples = int.from_bytes(content[18:20], "little") if is_blocked else 1
    return int.from_bytes(content[12:14], "little"), samples


def _rf64(file: BinaryIO, size: int) -> _Data | None:
    frame, sizes = None, None
    for name, at, length in _chunks(file, 12, size, "little"):
        if name == b"ds64":
            sizes = at
        if name == b"fmt ":
            frame = _wav_frame(file, at)
        if name == b"data":
            if frame is None or sizes is None:
                return None
            file.seek(sizes + 8)
            stated = int.from_bytes(file.read(8), "little") if length >= _UNKNOWN else length
            fields = ((sizes, 8, None), (sizes + 8, 8, 0), (at - 4, 4, 1 << 40))
            return _Data(order="little", start=at, length=stated or None, fields=fields, frame=frame)
    return None


def _aiff(file: BinaryIO, size: int) -> _Data | None:
    frame = None
    for name, at, length in _chunks(file, 12, size, "big"):
        if name == b"COMM":
            file.seek(at)
            content = file.read(22)
            is_plain = length <= 18 or content[18:22] in _PLAIN_AIFC
            width = int.from_bytes(content[:2], "big") * ((int.from_bytes(content[6:8], "big") + 7) // 8)
            frame = (width, 1) if is_plain and width else None
        if name == b"SSND":
            # Eight bytes of offset and block size precede the samples.
            known = _known(length)
            stated = None if known is None else max(0, known - 8)
            fields = ((at - 4, 4, 8), (4, 4, None))
            return _Data(order="big", start=at + 8, length=stated or None, fields=fields, frame=frame)
    return None


def _au(file: BinaryIO, size: int) -> _Data | None:
    numbers = [int.from_bytes(file.read(4), "big") for _ in range(5)]
    start, length, encoding, _, channels = numbers
    if not 24 <= start <= min(size, _SEARCHED):
        return None
    width = _AU_BYTES.get(encoding, 0) * channels
    frame = (width, 1) if width else None
    return _Data(order="big", start=start, length=_known(length), fields=((8, 4, 0),), frame=frame, has_chunks=False)


def _caf(file: BinaryIO, size: int) -> _Data | None:
    frame = None
    for name, at, length in _chunks(file, 8, size, "big", 8):
        if name == b"desc":
            file.seek(at + 16)
            width, samples = int.from_bytes(file.read(4), "big"), int.from_bytes(file.read(4), "big")
            frame = (width, samples) if width else None
        if name == b"data":
            if frame is None:
                return None  # compressed: a table of packets, behind the data, tells where it ends
            # Four bytes that count edits precede the samples; -1 is a length up to the end of the file.
            stated = None if length >= 1 << 62 else max(0, length - 4)
            fields = ((at - 8, 8, 4),)
            return _Data(
                order="big", start=at + 4, length=stated or None, fields=fields, frame=frame, chunk_width=8, pads=False
            )
    return None


CONTAINERS = {b"RIFF": _wav, b"RF64": _rf64, b"FORM": _aiff, b".snd": _au, b"caff": _caf}
"""Readers of the header by the first four bytes of the file."""
