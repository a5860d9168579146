"""Encode speech as a stream of bytes in a format that players and other programs read."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from valle.audio import Samples

# By default a page of Ogg is full with a second of speech.
_SHORT_PAGES = (("page_duration", "100000"),)


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """A format by the name that OpenAI's speech endpoint uses: its media type, FFmpeg's container and encoder."""

    media_type: str
    container: str
    encoder: str
    bit_rate: int = 0
    options: tuple[tuple[str, str], ...] = ()


FORMATS: Mapping[str, AudioFormat] = MappingProxyType(
    {
        "wav": AudioFormat("audio/wav", "wav", "pcm_s16le"),
        "flac": AudioFormat("audio/flac", "flac", "flac"),
        "mp3": AudioFormat("audio/mpeg", "mp3", "libmp3lame", 64_000),
        "opus": AudioFormat("audio/ogg", "ogg", "libopus", 32_000, _SHORT_PAGES),
        "aac": AudioFormat("audio/aac", "adts", "aac", 64_000),
        "pcm": AudioFormat("audio/pcm", "s16le", "pcm_s16le"),
    }
)
"""`pcm` is 16-bit little-endian samples without a header."""


class _Bytes(io.RawIOBase):
    """The bytes that FFmpeg wrote since the last call of `take`; it cannot seek, so headers are written once."""

    def __init__(self) -> None:
        self._content = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self._content += content
        return len(content)

    def take(self) -> bytes:
        taken = bytes(self._content)
        self._content.clear()
        return taken


class AudioEncoder:
    """Encode mono speech in pieces; the bytes of all calls are one file.

    `metadata` becomes tags of the formats that have any. The length of a WAV is unknown when its header is written, so
    the header has the longest; players read to the end.
    """

    def __init__(self, name: str, sample_rate: int, metadata: Mapping[str, str] = MappingProxyType({})) -> None:
        import av

        kind = FORMATS[name]
        self._bytes = _Bytes()
        self._container: Any = av.open(self._bytes, "w", format=kind.container, options=dict(kind.options))
        self._container.metadata.update(metadata)
        rate = _nearest_rate(kind.encoder, sample_rate)
        # The type of the package is that of any stream; the encoder makes it one of audio.
        stream: Any = self._container.add_stream(kind.encoder, rate=rate, layout="mono")
        if kind.bit_rate:
            stream.bit_rate = kind.bit_rate
        self._stream = stream
        self._resampler = av.AudioResampler(format=stream.format, layout="mono", rate=rate)
        self._sample_rate = sample_rate
        self._num_samples = 0

    def push(self, samples: Samples) -> bytes:
        """Return the bytes, possibly none, that samples [N] complete."""
        import av

        if len(samples):
            integers = (np.clip(samples, -1, 1) * 32767).round().astype(np.int16)
            frame = av.AudioFrame.from_ndarray(integers[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = self._sample_rate, self._num_samples
            frame.time_base = Fraction(1, self._sample_rate)
            self._num_samples += len(samples)
            for resampled in self._resampler.resample(frame):
                self._container.mux(self._stream.encode(resampled))
        return self._bytes.take()

    def finish(self) -> bytes:
        """Return the last bytes; the encoder accepts no samples afterwards."""
        if self._num_samples:
            for resampled in self._resampler.resample(None):
                self._container.mux(self._stream.encode(resampled))
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._bytes.take()


def _nearest_rate(encoder: str, sample_rate: int) -> int:
    """Return the lowest sample rate of an encoder that loses nothing, or its highest."""
    import av

    rates = av.Codec(encoder, "w").audio_rates
    return sample_rate if not rates else min((rate for rate in rates if rate >= sample_rate), default=max(rates))
