"""Encode segments: the integers of the codec, one column per codebook."""

from collections.abc import Sequence
from dataclasses import field
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass as options

from valle.backends.registry import Backends
from valle.codec.base import Codes
from valle.stages.base import STRICT, AudioNeed, Decibels, Drop, Seconds, Stage, WorkItem, audio_at
from warehouse.catalogue.planning import InputView
from warehouse.errors import ConfigurationError
from warehouse.rows import CodesPayload, CodesRow, StageRow

# The lake stores codes as signed 16-bit integers.
_MAX_CODEBOOK_SIZE = 1 << 15


@options(frozen=True, kw_only=True, config=STRICT)
class Quantize(Stage):
    """Options of quantization."""

    name: ClassVar[str] = "quantize"
    version: ClassVar[int] = 1
    reads: ClassVar[InputView] = "segments"
    writes: ClassVar[type[StageRow]] = CodesRow

    codec: str = "mini"
    """Codec by name: `mini`, `encodec_24khz`, ..."""
    sample_rate: Annotated[int, Field(ge=8_000, le=192_000)] | None = None
    """Hz; by default, and necessarily, the codec's."""
    silence_level: Decibels = -60.0
    """A segment whose RMS is below this many dBFS is dropped as `silent`."""
    batch_seconds: Seconds = field(default=120.0, metadata={"neutral": True})
    """Audio that one call of the codec encodes, padding included."""

    @property
    def variant(self) -> str:
        """The codec: codes of several are current side by side."""
        return self.codec

    @property
    def rate(self) -> int:
        """The sample rate in Hz."""
        from valle.codec import codec_sample_rate

        return self.sample_rate or codec_sample_rate(self.codec)

    @property
    def audio(self) -> AudioNeed:
        """The codec's rate."""
        return audio_at(self.rate)

    @property
    def effective_options(self) -> dict[str, Any]:
        """The options that change what the stage produces, the sample rate as a number."""
        return super().effective_options | {"sample_rate": self.rate}

    @property
    def revision(self) -> str:
        """The codec's name and weights."""
        from valle.codec import codec_revision

        return codec_revision(self.codec)

    def process(self, items: Sequence[WorkItem], models: Backends) -> list[CodesPayload | Drop]:
        """Encode every segment that is not silent.

        Raises ConfigurationError when the codec has another sample rate, or codes that 16 bits cannot store.
        """
        codec = models.codec(self.codec)
        if codec.spec.sample_rate != self.rate:
            raise ConfigurationError(
                f"codec {self.codec} works at {codec.spec.sample_rate} Hz: set sample_rate of quantize to that."
            )
        if codec.spec.codebook_size > _MAX_CODEBOOK_SIZE:
            raise ConfigurationError(
                f"codec {self.codec} has {codec.spec.codebook_size} entries per codebook, and codes are stored as "
                f"16-bit integers: use a codec with at most {_MAX_CODEBOOK_SIZE}."
            )
        loudness = [_rms_dbfs(item) for item in items]
        audible = [item for item, rms in zip(items, loudness, strict=True) if rms >= self.silence_level]
        encoded = iter(codec.encode([item.samples for item in audible]) if audible else [])
        return [
            _payload(codec.spec.label, next(encoded))
            if rms >= self.silence_level
            else Drop("silent", f"{rms:.0f} dBFS")
            for rms in loudness
        ]


def _payload(label: str, codes: Codes) -> CodesPayload:
    num_codebooks, num_frames = codes.shape
    return CodesPayload(codec=label, num_frames=num_frames, num_codebooks=num_codebooks, codes=codes.tolist())


def _rms_dbfs(item: WorkItem) -> float:
    return float(10 * np.log10(np.mean(np.square(item.samples, dtype=np.float64)) + 1e-12))
