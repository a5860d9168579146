"""Read audio: a location in the lake becomes mono float samples at the requested rate.

A location is a span of a file, or of an archive member (a byte range), so that tars are read in place.
Bad audio raises `UnreadableAudio` with a reason that becomes the `drop_reason` of a row.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from manifests.reading.regular import NotRegularFile, open_regular
from warehouse.files import atomic_write
from warehouse.ranged_stream import open_range

if TYPE_CHECKING:
    from manifests.audio.decoding import AudioDecoder

Samples = NDArray[np.float32]

# Peak from which on samples are on another scale than -1..1, by mistake or damage; lower ones are clipped.
_MAX_PEAK = 8.0

# Rates that are resampled, in Hz: at one hertz a file of a kilobyte would become gigabytes.
_RATES = range(500, 1_000_001)

# Power of the mean relative to that of a channel, below which the channels cancel: they have opposite phase.
_CANCELLED = 0.05


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
    """A span of audio: `size` is 0 for a whole file; `num_samples` None means to the end.

    `channel` counts from 0; None is the mean of all.
    """

    path: str
    offset: int = 0
    size: int = 0
    start_sample: int = 0
    num_samples: int | None = None
    channel: int | None = None


@dataclass(frozen=True, slots=True)
class AudioHeader:
    """Format and length of a file; the length is decoded where the header only estimates it."""

    sample_rate: int
    num_channels: int
    num_samples: int


class UnreadableAudio(Exception):
    """Audio that cannot be used: `reason` is one word for SQL, `detail` tells what was found."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@contextmanager
def _open(location: AudioLocation) -> Iterator[AudioDecoder]:
    """Open the encoded bytes at a location. Raises UnreadableAudio, also for what fails inside the block."""
    # Most modules that import this one compute on samples; the decoders are loaded where a file is opened.
    from manifests.audio.decoding import AudioDecoder, UndecodableAudio

    try:
        with open_regular(location.path) as file:
            if location.size == 0:
                yield _checked(AudioDecoder(file), location)
                return
            available = file.seek(0, 2) - location.offset
            if available < location.size:
                detail = f"{location.path}: {max(0, available)} of {location.size} bytes"
                raise UnreadableAudio("truncated", detail)
            yield _checked(AudioDecoder(open_range(file, location.offset, location.size)), location)
    except NotRegularFile as error:
        raise UnreadableAudio("not_a_file", location.path) from error
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise UnreadableAudio("missing_file", location.path) from error
    except (UndecodableAudio, OSError) as error:
        raise UnreadableAudio("undecodable", f"{location.path}: {error}") from error


def _checked(decoder: AudioDecoder, location: AudioLocation) -> AudioDecoder:
    if decoder.sample_rate not in _RATES:
        raise UnreadableAudio("sample_rate", f"{location.path}: {decoder.sample_rate} Hz")
    return decoder


def read_header(location: AudioLocation) -> AudioHeader:
    """Return rate, channels and length of the audio at `location`. Raises UnreadableAudio."""
    with _open(location) as decoder:
        num_samples = decoder.measure_length().num_samples
    if num_samples == 0:
        raise UnreadableAudio("empty", location.path)
    return AudioHeader(decoder.sample_rate, decoder.num_channels, num_samples)


def read_audio(location: AudioLocation, sample_rate: int | None = None) -> Audio:
    """Decode a span, mix it to mono and resample it.

    The channel of the location is read, or the mean of all; where that cancels, the loudest one. `sample_rate` None
    keeps the rate of the file. Raises UnreadableAudio for a missing, undecodable, truncated or empty span, and for
    samples that are not finite or far out of range.
    """
    # Blocks are joined before mixing: whether channels cancel is a question of the whole span.
    with _open(location) as decoder:
        channels = np.concatenate(list(_decode(decoder, location, _num_samples(decoder, location), 60.0)))
    _measure_peak(channels, location)
    rate = sample_rate or decoder.sample_rate
    return Audio(_bounded(resample(_mix(channels), decoder.sample_rate, rate), location), rate)


def read_blocks(location: AudioLocation, sample_rate: int, *, block_seconds: float = 30.0) -> Iterator[Samples]:
    """Decode a span block by block, mono and resampled as a stream: memory does not grow with its length.

    Yields float32 arrays that follow one another without a seam. Raises UnreadableAudio as `read_audio` does.
    """
    with _open(location) as decoder:
        native = decoder.sample_rate
        stream = soxr.ResampleStream(native, sample_rate, 1, dtype="float32") if native != sample_rate else None
        left = _num_samples(decoder, location)
        for block in _decode(decoder, location, left, block_seconds):
            left -= len(block)
            _measure_peak(block, location)
            samples = _mix(block)
            if stream is not None:
                samples = stream.resample_chunk(samples, last=left == 0)
            yield _bounded(samples, location)


def _num_samples(decoder: AudioDecoder, location: AudioLocation) -> int:
    """Return the samples of a span, which may go to the end. Raises UnreadableAudio when there are none."""
    num_samples = location.num_samples
    if num_samples is None:
        num_samples = decoder.measure_length().num_samples - location.start_sample
    if num_samples <= 0:
        raise UnreadableAudio("empty", location.path)
    return num_samples


def _decode(
    decoder: AudioDecoder, location: AudioLocation, num_samples: int, block_seconds: float
) -> Iterator[Samples]:
    """Yield float32 [time, channels], only the channel of the location if it names one.

    Raises UnreadableAudio for a span that ends early, UndecodableAudio for one that cannot be decoded.
    """
    done = 0
    block_size = max(1, int(block_seconds * decoder.sample_rate))
    for block in decoder.blocks(location.start_sample, num_samples, block_size):
        done += len(block)
        yield block if location.channel is None else _channel(block, location)
    if done == 0:
        raise UnreadableAudio("empty", location.path)
    if done < num_samples:
        raise UnreadableAudio("truncated", f"{location.path}: {done} of {num_samples} samples")


def _channel(block: Samples, location: AudioLocation) -> Samples:
    channel = location.channel or 0
    if channel >= block.shape[1]:
        raise UnreadableAudio("missing_channel", f"{location.path}: channel {channel} of {block.shape[1]}")
    return block[:, channel : channel + 1]


def _mix(channels: Samples) -> Samples:
    """Return the mean of channels [time, channels]; the loudest channel where they cancel each other."""
    if channels.shape[1] == 1:
        return channels[:, 0]
    mean = channels.mean(axis=1)
    powers = np.square(channels, dtype=np.float64).mean(axis=0)
    # Two independent channels of equal power have half of it in their mean, n of them an n-th.
    if np.square(mean, dtype=np.float64).mean() < _CANCELLED / channels.shape[1] * powers.max():
        return channels[:, int(powers.argmax())]
    return mean


def _measure_peak(samples: Samples, location: AudioLocation) -> float:
    """Return the largest magnitude. Raises UnreadableAudio for samples that are not finite or on another scale."""
    # The largest magnitude is NaN or infinite when any sample is.
    peak = float(np.abs(samples).max(initial=0.0))
    if not np.isfinite(peak):
        raise UnreadableAudio("not_finite", location.path)
    if peak > _MAX_PEAK:
        raise UnreadableAudio("out_of_range", f"{location.path}: peak {peak:.3g}, full scale is 1")
    return peak


def _bounded(samples: Samples, location: AudioLocation) -> Samples:
    """Return resampled audio within -1..1; resampling raises peaks. Raises UnreadableAudio as `_measure_peak` does."""
    return np.clip(samples, -1.0, 1.0) if _measure_peak(samples, location) > 1.0 else samples


def resample(samples: Samples, source_rate: int, target_rate: int) -> Samples:
    """Return samples at another rate (soxr, high quality); the same array when the rates are equal."""
    if source_rate == target_rate:
        return samples
    return soxr.resample(samples, source_rate, target_rate).astype(np.float32)


def write_audio(path: Path, audio: Audio) -> None:
    """Write 16-bit audio in the format of the suffix (`.wav`, `.flac`, `.ogg`), atomically."""
    subtype = "OPUS" if path.suffix == ".ogg" else "PCM_16"
    # An evaluation writes thousands of files, all of which it can make again: a flush of each would cost more.
    with atomic_write(path, durable=False) as temporary:
        soundfile.write(temporary, np.clip(audio.samples, -1, 1), audio.sample_rate, subtype=subtype)
