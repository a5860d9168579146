"""What can be known of encoded audio without decoding it: format facts, a content hash, or the fault it has."""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import soundfile

END_BYTES = 1 << 16
"""Bytes at either end of the encoded audio that go into its content hash."""

_LONGEST = 1 << 40
"""Samples (over a year at 24 kHz); libsndfile reports more for a FLAC from a pipe, and can neither seek nor read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """Facts of one piece of encoded audio; the format is None when there is a `fault` (a `drop_reason`)."""

    size: int = 0
    content_hash: str = ""
    sample_rate: int | None = None
    num_channels: int | None = None
    num_samples: int | None = None
    fault: str | None = None
    detail: str | None = None

    @property
    def duration(self) -> float | None:
        """Seconds, when the format is known."""
        if self.num_samples is None or not self.sample_rate:
            return None
        return self.num_samples / self.sample_rate


def hash_content(size: int, head: bytes, tail: bytes) -> str:
    """32 hex digits over the size and the two ends of encoded audio."""
    digest = hashlib.sha256(f"{size}:".encode())
    digest.update(head)
    digest.update(tail)
    return digest.hexdigest()[:32]


def inspect_file(path: str) -> Inspection:
    """Inspect an audio file: its header and its two ends are read."""
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            head = file.read(END_BYTES)
            file.seek(max(0, size - END_BYTES))
            content_hash = hash_content(size, head, file.read(END_BYTES))
            return _inspect(file, size, content_hash)
    except FileNotFoundError:
        return Inspection(fault="missing_file", detail=f"{path} is gone or its name is not UTF-8")
    except OSError as error:
        return Inspection(fault="unreadable", detail=f"{path}: {error.strerror}")


def inspect_bytes(content: bytes) -> Inspection:
    """Inspect encoded audio that is in memory."""
    content_hash = hash_content(len(content), content[:END_BYTES], content[-END_BYTES:])
    return _inspect(io.BytesIO(content), len(content), content_hash)


def _inspect(file: BinaryIO, size: int, content_hash: str) -> Inspection:
    if size == 0:
        return Inspection(size=size, content_hash=content_hash, fault="empty", detail="0 bytes")
    file.seek(0)
    try:
        with soundfile.SoundFile(file) as sound:
            rate, channels, num_samples = sound.samplerate, sound.channels, sound.frames
    except soundfile.LibsndfileError as error:
        return Inspection(size=size, content_hash=content_hash, fault="undecodable", detail=str(error.error_string))
    if num_samples > _LONGEST:
        detail = "the header does not say how long it is; encode it again"
        return Inspection(size=size, content_hash=content_hash, fault="unknown_length", detail=detail)
    if num_samples == 0:
        return Inspection(size=size, content_hash=content_hash, fault="empty", detail="0 samples")
    return Inspection(
        size=size, content_hash=content_hash, sample_rate=rate, num_channels=channels, num_samples=num_samples
    )
