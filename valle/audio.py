"""Reading audio: a location in the lake becomes mono float samples at the rate that is asked for.

A location is a span of a file, or of an archive member (a byte range), so that tars are read in place.
Bad audio raises `UnreadableAudio` with a reason that becomes the `drop_reason` of a row.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Audio:
    """Mono speech: `samples` is float32 [N] within -1..1."""

    samples: Samples
    sample_rate: int

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.sample_rate


@dataclass(frozen=True, slots=True)
class AudioLocation:
    """Where a span of audio lies: `size` is 0 for a whole file; `num_samples` None means to the end."""

    path: str
    offset: int = 0
    size: int = 0
    start_sample: int = 0
    num_samples: int | None = None


@dataclass(frozen=True, slots=True)
class AudioHeader:
    """What the header of a file says, without decoding it."""

    sample_rate: int
    num_channels: int
    num_samples: int


class UnreadableAudio(Exception):
    """Audio that cannot be used: `reason` is one word for SQL, `detail` is what was seen."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def _open(location: AudioLocation) -> soundfile.SoundFile:
    if not Path(location.path).is_file():  # libsndfile only says "system error"
        raise UnreadableAudio("missing_file", location.path)
    try:
        if location.size == 0:
            return soundfile.SoundFile(location.path)
        with Path(location.path).open("rb") as archive:
            archive.seek(location.offset)
            content = archive.read(location.size)
    except (soundfile.LibsndfileError, OSError) as error:
        raise UnreadableAudio("undecodable", f"{location.path}: {error}") from error
    if len(content) < location.size:
        raise UnreadableAudio("truncated", f"{location.path}: {len(content)} of {location.size} bytes")
    try:
        return soundfile.SoundFile(io.BytesIO(content))
    except soundfile.LibsndfileError as error:
        raise UnreadableAudio("undecodable", f"{location.path} at {location.offset}: {error}") from error


def read_header(location: AudioLocation) -> AudioHeader:
    """Rate, channels and length of the audio at `location`. Raises UnreadableAudio."""
    with _open(location) as sound:
        header = AudioHeader(sound.samplerate, sound.channels, sound.frames)
    if header.num_samples == 0:
        raise UnreadableAudio("empty", location.path)
    return header


def read_audio(location: AudioLocation, sample_rate: int | None = None) -> Audio:
    """Decode a span, mix it to mono (mean over channels) and resample it.

    `sample_rate` None keeps the rate of the file. Raises UnreadableAudio for a missing, undecodable, truncated
    or empty span and for samples that are not finite.
    """
    with _open(location) as sound:
        native = sound.samplerate
        try:
            sound.seek(location.start_sample)
            frames = -1 if location.num_samples is None else location.num_samples
            block = sound.read(frames, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise UnreadableAudio("undecodable", f"{location.path}: {error}") from error
    if len(block) == 0:
        raise UnreadableAudio("empty", location.path)
    if location.num_samples is not None and len(block) < location.num_samples:
        raise UnreadableAudio("truncated", f"{location.path}: {len(block)} of {location.num_samples} samples")
    samples = block.mean(axis=1) if block.shape[1] > 1 else block[:, 0]
    if not np.isfinite(samples).all():
        raise UnreadableAudio("not_finite", location.path)
    return Audio(resample(samples, native, sample_rate or native), sample_rate or native)


def read_blocks(location: AudioLocation, sample_rate: int, *, block_seconds: float = 30.0) -> Iterator[Samples]:
    """Decode a span block by block, mono and resampled as a stream: memory does not grow with its length.

    Yields float32 arrays that follow one another without a seam. Raises UnreadableAudio as `read_audio` does.
    """
    with _open(location) as sound:
        native = sound.samplerate
        stream = soxr.ResampleStream(native, sample_rate, 1, dtype="float32") if native != sample_rate else None
        left = sound.frames - location.start_sample if location.num_samples is None else location.num_samples
        if left <= 0:
            raise UnreadableAudio("empty", location.path)
        try:
            sound.seek(location.start_sample)
            while left > 0:
                block = sound.read(min(left, int(block_seconds * native)), dtype="float32", always_2d=True)
                left -= len(block)
                if len(block) == 0:
                    raise UnreadableAudio("truncated", f"{location.path}: {left} samples missing")
                samples = block.mean(axis=1) if block.shape[1] > 1 else block[:, 0]
                if not np.isfinite(samples).all():
                    raise UnreadableAudio("not_finite", location.path)
                yield samples if stream is None else stream.resample_chunk(samples, last=left == 0)
        except soundfile.LibsndfileError as error:
            raise UnreadableAudio("undecodable", f"{location.path}: {error}") from error


def resample(samples: Samples, source_rate: int, target_rate: int) -> Samples:
    """Samples at another rate (soxr, high quality); the same array when the rates are equal."""
    if source_rate == target_rate:
        return samples
    return soxr.resample(samples, source_rate, target_rate).astype(np.float32)


def write_audio(path: Path, audio: Audio) -> None:
    """Write 16-bit audio in the format of the suffix (`.wav`, `.flac`, `.ogg`), atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp{path.suffix}")
    subtype = "OPUS" if path.suffix == ".ogg" else "PCM_16"
    soundfile.write(temporary, np.clip(audio.samples, -1, 1), audio.sample_rate, subtype=subtype)
    temporary.replace(path)
