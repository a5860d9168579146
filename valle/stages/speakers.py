"""Segments to voices: one unit vector each."""

from collections.abc import Sequence
from dataclasses import field
from typing import ClassVar

import numpy as np
from pydantic.dataclasses import dataclass as options

from valle.backends.registry import Backends
from valle.backends.speaker import speaker_encoder_revision
from valle.backends.speaker.base import SAMPLE_RATE, Embedding
from valle.stages.base import STRICT, StageInput, WorkItem
from warehouse.rows import SpeakerRow


@options(frozen=True, kw_only=True, config=STRICT)
class Speakers:
    """Options of speaker embedding."""

    name: ClassVar[str] = "speakers"
    version: ClassVar[int] = 1
    reads: ClassVar[str] = "segments"
    writes: ClassVar[type] = SpeakerRow

    encoder: str = "resemblyzer"
    """Speaker encoder by name."""
    min_duration: float = 0.4
    """Seconds; shorter segments say too little of a voice and are dropped as `too_short`."""
    batch_seconds: float = field(default=240.0, metadata={"neutral": True})
    """Audio that the encoder gets at once, padding included."""

    @property
    def audio_rate(self) -> int | None:
        """The encoder's rate."""
        return SAMPLE_RATE

    def revision(self, backends: Backends) -> str:
        """The encoder's name and weights."""
        return speaker_encoder_revision(self.encoder)

    def process(self, items: Sequence[WorkItem], backends: Backends) -> list[SpeakerRow]:
        """One row per segment."""
        encoder = backends.speaker_encoder(self.encoder)
        long_enough = [item for item in items if len(item.samples) >= self.min_duration * SAMPLE_RATE]
        embeddings = dict(
            zip(
                (item.input.id for item in long_enough),
                encoder.embed([item.samples for item in long_enough]),
                strict=True,
            )
        )
        return [self._judged(item, embeddings.get(item.input.id), backends) for item in items]

    def drop(self, source: StageInput, reason: str, detail: str) -> SpeakerRow:
        """The row of a segment without a voice."""
        return self._row(source, self.encoder, None, reason, detail)

    def _judged(self, item: WorkItem, embedding: Embedding | None, backends: Backends) -> SpeakerRow:
        model = self.revision(backends)
        if embedding is None:
            return self._row(item.input, model, None, "too_short", f"{len(item.samples) / SAMPLE_RATE:.2f} s")
        if not np.isfinite(embedding).all():
            return self._row(item.input, model, None, "silent", "no sound to embed")
        return self._row(item.input, model, embedding, None, None)

    @staticmethod
    def _row(
        source: StageInput, model: str, embedding: Embedding | None, reason: str | None, detail: str | None
    ) -> SpeakerRow:
        return SpeakerRow(
            segment_id=source.id,
            corpus=source.corpus,
            shard=source.shard,
            fingerprint=source.fingerprint,
            model=model,
            embedding=None if embedding is None else embedding.tolist(),
            drop_reason=reason,
            drop_detail=detail,
        )
