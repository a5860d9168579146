"""Embed the speaker of every segment as one unit vector."""

from collections.abc import Sequence
from dataclasses import field
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass as options

from valle.backends.registry import Backends
from valle.backends.speaker import speaker_encoder_revision
from valle.backends.speaker.base import SAMPLE_RATE
from valle.stages.base import STRICT, AudioNeed, Drop, Seconds, Stage, WorkItem, audio_at
from warehouse.catalogue.planning import InputView
from warehouse.rows import SpeakerPayload, SpeakerRow, StageRow


@options(frozen=True, kw_only=True, config=STRICT)
class Speakers(Stage):
    """Options of speaker embedding."""

    name: ClassVar[str] = "speakers"
    version: ClassVar[int] = 1
    reads: ClassVar[InputView] = "segments"
    writes: ClassVar[type[StageRow]] = SpeakerRow

    encoder: str = "resemblyzer"
    """Speaker encoder by name."""
    min_duration: Annotated[float, Field(ge=0, le=86_400)] = 0.4
    """Seconds; shorter segments do not define a speaker and are dropped as `too_short`."""
    batch_seconds: Seconds = field(default=240.0, metadata={"neutral": True})
    """Audio that one call of the encoder embeds, padding included."""

    @property
    def audio(self) -> AudioNeed:
        """The encoder's rate."""
        return audio_at(SAMPLE_RATE)

    @property
    def revision(self) -> str:
        """The encoder's name and weights."""
        return speaker_encoder_revision(self.encoder)

    def process(self, items: Sequence[WorkItem], models: Backends) -> list[SpeakerPayload | Drop]:
        """Embed every segment that is long enough."""
        encoder = models.speaker_encoder(self.encoder)
        is_long = [len(item.samples) >= self.min_duration * SAMPLE_RATE for item in items]
        waveforms = [item.samples for item, is_used in zip(items, is_long, strict=True) if is_used]
        embeddings = iter(encoder.embed(waveforms) if waveforms else [])
        outcomes: list[SpeakerPayload | Drop] = []
        for item, is_used in zip(items, is_long, strict=True):
            if not is_used:
                outcomes.append(Drop("too_short", f"{len(item.samples) / SAMPLE_RATE:.2f} s"))
            elif not np.isfinite(embedding := next(embeddings)).all():
                outcomes.append(Drop("silent", "the embedding is not finite"))
            else:
                outcomes.append(SpeakerPayload(model=self.revision, embedding=embedding.tolist()))
        return outcomes
