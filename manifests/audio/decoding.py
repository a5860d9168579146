"""Decode audio from the first sample to the last, for formats whose header is wrong and for those without seeking.

Memory does not grow with the length of the audio.
"""

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from manifests.audio.containers import CONTAINERS, mend_container
from manifests.audio.headers import has_counted_frames, mend_header
from manifests.audio.mended_header import MendedHeader

Block = NDArray[np.float32]
"""Decoded samples [time, channels]."""

# Samples that are decoded at once, and again around an error: what precedes it in its block is lost.
_BLOCK_SIZES = (4096, 32)

# Samples (over a year at 24 kHz); libsndfile reports more when a header declares no length.
_LONGEST = 1 << 40

# Samples by which an MP3 may decode to more than it declares: the encoder's padding of the last frame.
_MPEG_PADDING = 4096

# Samples of all channels that are decoded at once.
_MOST_VALUES = 1 << 24

# Raised by soundfile: by libsndfile, for lengths that no array can have, and by the file below.
_FAILURES = (soundfile.SoundFileError, ValueError, RuntimeError, OSError, MemoryError)


class UndecodableAudio(Exception):
    """Bytes that libsndfile cannot decode."""


class _SequentialSound(soundfile.SoundFile):
    """A SoundFile that never seeks; soundfile seeks after every read of a format that claims to be seekable."""

    def seekable(self) -> bool:
        """Return False."""
        return False


@dataclass(frozen=True, slots=True)
class AudioLength:
    """Samples per channel that can be decoded, and those that the header declares; None when it declares none."""

    num_samples: int
    declared_samples: int | None


class AudioDecoder:
    """Encoded audio in an open file, decoded from any sample on; it is closed with the file.

    Raises UndecodableAudio when libsndfile cannot open it.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._mended: MendedHeader | None = None
        try:
            self._sound = _open_sound(file)
        except UndecodableAudio:
            self._file, self._sound = self._open_mended(file)
        self._is_displaced = False  # libsndfile does not notice when others read its file
        self.sample_rate: int = self._sound.samplerate
        self.num_channels: int = self._sound.channels

    def measure_length(self) -> AudioLength:
        """Return the true length of the audio, and the one that its header declares.

        The header is trusted where its format makes it exact and the last sample can be read; everything else is
        decoded.
        """
        declared, is_mpeg = self._sound.frames, self._sound.format == "MP3"
        if self._mended is not None:
            return AudioLength(declared, self._mended.declared_samples)
        # One seek to the end finds truncated files without decoding them.
        is_plausible = not is_mpeg and _has_last_sample(self._own_sound())
        self._is_displaced = True
        is_counted = has_counted_frames(self._file) if is_mpeg else None
        if is_counted:
            return AudioLength(declared, declared)
        mended = mend_header(self._file)
        if mended is None and is_plausible:
            return AudioLength(declared, declared)
        header = declared if declared <= _LONGEST else None
        if mended is not None and not is_mpeg:
            header = mended.declared_samples
        decoded = _count(self._file if mended is None else mended.file)
        # A length that is estimated from the bytes leaves out the padding of the last frame, and is the better one.
        if is_mpeg and is_counted is None and 0 < decoded - declared <= _MPEG_PADDING:
            decoded = declared
        return AudioLength(decoded, header)

    def blocks(self, start: int, num_samples: int, block_size: int) -> Iterator[Block]:
        """Yield `num_samples` samples from `start` on in blocks of at most `block_size`; fewer at an early end.

        Reads beyond the length that the header declares, and decodes what precedes `start` where the format cannot
        seek. Raises UndecodableAudio.
        """
        source, done = self._file, 0
        # libsndfile stops at the declared length, so a span beyond it needs another header.
        if start + num_samples <= self._sound.frames <= _LONGEST:
            sound = self._own_sound()
        else:
            self._is_displaced = True
            mended = mend_header(self._file)
            source = self._file if mended is None else mended.file
            sound = _open_sound(source)
        try:
            # libsndfile cannot seek in FLAC without a length, although it claims to.
            if sound.format != "FLAC" or sound is self._sound:
                for block in _read(sound, start, num_samples, block_size):
                    done += len(block)
                    yield block
                return
        except _FAILURES:
            self._is_displaced = True  # A format that cannot seek, or damage: decoding from the beginning tells.
        try:
            yield from _read(_open_sound(source, _SequentialSound), start + done, num_samples - done, block_size)
        except _FAILURES as error:
            raise UndecodableAudio(_describe(error)) from error

    def _open_mended(self, file: BinaryIO) -> tuple[BinaryIO, soundfile.SoundFile]:
        """Open audio that libsndfile refuses for the size in its header, as CAF of unknown length."""
        file.seek(0)
        self._mended = mend_container(file) if file.read(4) in CONTAINERS else None
        if self._mended is None:
            return file, _open_sound(file)
        return self._mended.file, _open_sound(self._mended.file)

    def _own_sound(self) -> soundfile.SoundFile:
        if self._is_displaced:
            self._sound = _open_sound(self._file)
            self._is_displaced = False
        return self._sound


def _open_sound(file: BinaryIO, kind: type[soundfile.SoundFile] = soundfile.SoundFile) -> soundfile.SoundFile:
    """Open encoded audio from its first byte. Raises UndecodableAudio."""
    try:
        file.seek(0)
        raw = getattr(file, "raw", None)
        if isinstance(raw, io.FileIO):  # libsndfile reads a descriptor faster than a Python object
            os.lseek(raw.fileno(), 0, os.SEEK_SET)
            return kind(raw.fileno(), closefd=False)
        return kind(file)
    except _FAILURES as error:
        raise UndecodableAudio(_describe(error)) from error


def _describe(error: BaseException) -> str:
    if isinstance(error, soundfile.LibsndfileError):
        return str(error.error_string)
    return f"{type(error).__name__}: {error}"


def _has_last_sample(sound: soundfile.SoundFile) -> bool:
    if not 0 < sound.frames <= _LONGEST or not sound.seekable():
        return False
    try:
        sound.seek(sound.frames - 1)
        return len(sound.read(1)) == 1
    except _FAILURES:
        return False


def _count(file: BinaryIO) -> int:
    """Return how many samples can be decoded before the end or the first error."""
    count = 0
    for block_size in _BLOCK_SIZES:
        try:
            for block in _read(_open_sound(file, _SequentialSound), count, _LONGEST, block_size):
                count += len(block)
        except _FAILURES:
            continue  # What was decoded so far counts.
        break
    return count


def _read(sound: soundfile.SoundFile, start: int, num_samples: int, block_size: int) -> Iterator[Block]:
    """Yield decoded blocks. Raises what soundfile raises."""
    block_size = max(1, min(block_size, _MOST_VALUES // sound.channels))
    if isinstance(sound, _SequentialSound):
        skipped = 0
        while skipped < start:
            block = sound.read(min(_BLOCK_SIZES[0], start - skipped), dtype="float32")
            if len(block) == 0:
                return
            skipped += len(block)
    else:
        sound.seek(start)
    while num_samples > 0:
        size = min(block_size, num_samples)
        block = sound.read(size, dtype="float32", always_2d=True)
        if len(block):
            yield block
        num_samples -= len(block)
        if len(block) < size:
            return


def describe_ogg(file: BinaryIO) -> tuple[str, ...]:
    """Return what is wrong with the streams of an Ogg file (RFC 3533, 6), nothing for another format.

    It ends without the page that marks the end of a stream, or other streams follow the first: libsndfile decodes
    the first only.
    """
    file.seek(0)
    first = file.read(18)
    if first[:4] != b"OggS":
        return ()
    size = file.seek(0, 2)
    file.seek(max(0, size - (1 << 17)))  # A page has at most 65,307 bytes.
    tail = file.read()
    page = tail[max(0, tail.rfind(b"OggS\0")) :]
    lacing = page[27 : 27 + page[26]] if len(page) > 27 else b""
    is_whole = len(page) >= 27 + len(lacing) + sum(lacing)
    if not (lacing and is_whole and page[5] & 4):
        return ("the stream has no last page: it was cut short",)
    if page[14:18] != first[14:18]:
        return ("other streams follow the first one, which alone was read",)
    return ()
