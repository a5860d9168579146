"""Inspect encoded audio: format, true length, the channels to read and a content hash, or the fault it has."""

import hashlib
import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from manifests.audio.channels import ChannelComparison, ChannelMode
from manifests.audio.decoding import AudioDecoder, UndecodableAudio, describe_ogg
from manifests.audio.suffixes import UNSUPPORTED_SUFFIXES
from manifests.reading.regular import NotRegularFile, open_regular
from warehouse.ranged_stream import open_range

# Reads as large as this are as fast as reads of the whole file, and memory stays bounded.
_HASHED_AT_ONCE = 1 << 20
_DECODED_AT_ONCE = 1 << 16
# Hz; outside of it the header is wrong, and resampling would need any amount of memory.
_SAMPLE_RATES = range(2_000, 1_000_001)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """Facts of one piece of encoded audio; the format is None when there is a `fault` (a `drop_reason`).

    `channels` names the channels that are a recording each; None stands for the mean of all. `declared_samples` is
    the length in the header where that is wrong (0 for none); `notes` tells what else was found.
    """

    size: int = 0
    content_hash: str = ""
    sample_rate: int | None = None
    num_channels: int | None = None
    num_samples: int | None = None
    declared_samples: int | None = None
    channels: tuple[int | None, ...] = (None,)
    notes: tuple[str, ...] = ()
    fault: str | None = None
    detail: str | None = None

    @property
    def duration(self) -> float | None:
        """Seconds, when the format is known."""
        if self.num_samples is None or not self.sample_rate:
            return None
        return self.num_samples / self.sample_rate


def hash_text(text: str) -> str:
    """Return 32 hex digits that identify `text`."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def inspect_file(path: str, channels: ChannelMode = "mix") -> Inspection:
    """Inspect an audio file, which is read as a whole; only headers that may be wrong make it decode."""
    try:
        with open_regular(path) as file:
            inspection = _inspect(file, channels)
        suffix = Path(path).suffix.lower()
        if inspection.fault == "undecodable" and suffix in UNSUPPORTED_SUFFIXES:
            return replace(inspection, detail=f"libsndfile does not decode {suffix}; convert it to FLAC")
        return inspection
    except NotRegularFile as error:
        return Inspection(fault="not_a_file", detail=f"{path} is {error.strerror}")
    except FileNotFoundError:
        return Inspection(fault="missing_file", detail=f"{path} is gone or its name is not UTF-8")
    except OSError as error:
        return Inspection(fault="unreadable", detail=f"{path}: {error.strerror}")


def inspect_range(file: BinaryIO, offset: int, size: int, channels: ChannelMode = "mix") -> Inspection:
    """Inspect encoded audio in a range of bytes of an open file. Raises OSError when it cannot be read."""
    return _inspect(open_range(file, offset, size), channels)


def inspect_bytes(content: bytes) -> Inspection:
    """Inspect encoded audio that is in memory."""
    return _inspect(io.BytesIO(content), "mix")


def _inspect(file: BinaryIO, channels: ChannelMode) -> Inspection:
    size, content_hash = _hash_content(file)
    identity = Inspection(size=size, content_hash=content_hash)
    if size == 0:
        return replace(identity, fault="empty", detail="0 bytes")
    try:
        decoder = AudioDecoder(file)
        if decoder.sample_rate not in _SAMPLE_RATES:
            return replace(identity, fault="sample_rate", detail=f"{decoder.sample_rate} Hz")
        length = decoder.measure_length()
        if length.num_samples == 0:
            return replace(identity, fault="empty", detail="0 samples")
        chosen = _choose_channels(decoder, length.num_samples, channels)
    except UndecodableAudio as error:
        return replace(identity, fault="undecodable", detail=str(error))
    # The decoded length is used either way; the declared one shows which files were damaged or cut.
    is_as_declared = length.declared_samples == length.num_samples
    return replace(
        identity,
        sample_rate=decoder.sample_rate,
        num_channels=decoder.num_channels,
        num_samples=length.num_samples,
        declared_samples=None if is_as_declared else length.declared_samples or 0,
        channels=chosen,
        notes=describe_ogg(file),
    )


def _hash_content(file: BinaryIO) -> tuple[int, str]:
    """Return the size of a file and 32 hex digits over all of its bytes."""
    # All bytes, not a sample: recordings of one length with silent ends would be equal by their ends.
    digest = hashlib.sha256()
    size = 0
    file.seek(0)
    while chunk := file.read(_HASHED_AT_ONCE):
        digest.update(chunk)
        size += len(chunk)
    return size, digest.hexdigest()[:32]


def _choose_channels(decoder: AudioDecoder, num_samples: int, mode: ChannelMode) -> tuple[int | None, ...]:
    if decoder.num_channels == 1 or mode == "mix":
        return (None,)
    if mode == "first":
        return (0,)
    if mode == "split":
        return tuple(range(decoder.num_channels))
    # Only here is a file with an exact header decoded: which channels differ is in no header.
    comparison = ChannelComparison(decoder.num_channels, decoder.sample_rate)
    for block in decoder.blocks(0, num_samples, _DECODED_AT_ONCE):
        comparison.add(block)
    return comparison.choose()
