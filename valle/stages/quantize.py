"""Segments to codes: the codec's integers, one column per codebook."""

from collections.abc import Sequence
from dataclasses import field
from typing import ClassVar

import numpy as np
from pydantic.dataclasses import dataclass as options

from valle.backends.registry import Backends
from valle.codec.base import Codes
from valle.stages.base import STRICT, StageInput, WorkItem
from warehouse.errors import ConfigurationError
from warehouse.rows import CodesRow


@options(frozen=True, kw_only=True, config=STRICT)
class Quantize:
    """Options of quantization."""

    name: ClassVar[str] = "quantize"
    version: ClassVar[int] = 1
    reads: ClassVar[str] = "segments"
    writes: ClassVar[type] = CodesRow

    codec: str = "mini"
    """Codec by name: `mini`, `encodec_24khz`, ..."""
    sample_rate: int = 24_000
    """Hz; must be the codec's."""
    silence_level: float = -60.0
    """A segment whose RMS lies below this many dBFS is dropped as `silent`."""
    batch_seconds: float = field(default=120.0, metadata={"neutral": True})
    """Audio that the codec gets at once, padding included."""

    @property
    def audio_rate(self) -> int | None:
        """The codec's rate."""
        return self.sample_rate

    def revision(self, backends: Backends) -> str:
        """The codec's name and weights."""
        from valle.codec import codec_revision

        return codec_revision(self.codec)

    def process(self, items: Sequence[WorkItem], backends: Backends) -> list[CodesRow]:
        """One row per segment."""
        codec = backends.codec(self.codec)
        if codec.spec.sample_rate != self.sample_rate:
            raise ConfigurationError(
                f"codec {self.codec} works at {codec.spec.sample_rate} Hz: set sample_rate of quantize to that."
            )
        levels = [_level(item) for item in items]
        audible = [item for item, level in zip(items, levels, strict=True) if level >= self.silence_level]
        encoded = iter(codec.encode([item.samples for item in audible]) if audible else [])
        name = codec.spec.label
        return [
            self._row(item.input, name, next(encoded), None, None)
            if level >= self.silence_level
            else self._row(item.input, name, None, "silent", f"{level:.0f} dBFS")
            for item, level in zip(items, levels, strict=True)
        ]

    def drop(self, source: StageInput, reason: str, detail: str) -> CodesRow:
        """The row of a segment without codes."""
        return self._row(source, self.codec, None, reason, detail)

    @staticmethod
    def _row(source: StageInput, name: str, codes: Codes | None, reason: str | None, detail: str | None) -> CodesRow:
        books: list[list[int] | None] = [book.tolist() for book in codes] if codes is not None else []
        if len(books) > 8:
            raise ConfigurationError(f"codec {name} has {len(books)} codebooks, and the codes table holds 8.")
        books += [None] * (8 - len(books))
        return CodesRow(
            segment_id=source.id,
            corpus=source.corpus,
            shard=source.shard,
            fingerprint=source.fingerprint,
            codec=name,
            num_frames=0 if codes is None else int(codes.shape[1]),
            q0=books[0],
            q1=books[1],
            q2=books[2],
            q3=books[3],
            q4=books[4],
            q5=books[5],
            q6=books[6],
            q7=books[7],
            drop_reason=reason,
            drop_detail=detail,
        )


def _level(item: WorkItem) -> float:
    """RMS in dBFS."""
    return float(10 * np.log10(np.mean(np.square(item.samples, dtype=np.float64)) + 1e-12))
