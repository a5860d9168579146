"""Score how good segments sound. Thresholds belong to the SQL that selects a training set."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import field
from typing import ClassVar

import numpy as np
from pydantic.dataclasses import dataclass as options

from valle.audio import resample
from valle.backends.quality import SAMPLE_RATE, Measures, ScorerOutput, measure, quality_scorer_revision
from valle.backends.registry import Backends
from valle.stages.base import NATIVE_RATE, STRICT, AudioNeed, Drop, Seconds, Stage, WorkItem
from warehouse.catalogue.planning import InputView
from warehouse.rows import QualityPayload, QualityRow, StageRow


@options(frozen=True, kw_only=True, config=STRICT)
class Quality(Stage):
    """Options of quality scoring."""

    name: ClassVar[str] = "quality"
    version: ClassVar[int] = 1
    reads: ClassVar[InputView] = "segments"
    writes: ClassVar[type[StageRow]] = QualityRow

    scorers: tuple[str, ...] = ("dnsmos",)
    """Models: `dnsmos`, `dnsmos_full`, `dnsmos_int8`, `distillmos`; without any, only the signal is measured."""
    batch_seconds: Seconds = field(default=240.0, metadata={"neutral": True})
    """Audio that one call scores, padding included."""

    @property
    def audio(self) -> AudioNeed:
        """The recording's own rate, since resampling would hide a missing band."""
        return NATIVE_RATE

    @property
    def revision(self) -> str:
        """The names and weights of the quality models."""
        return "+".join(quality_scorer_revision(name) for name in self.scorers)

    def process(self, items: Sequence[WorkItem], models: Backends) -> list[QualityPayload | Drop]:
        """Measure every segment, and score those that are not silent."""
        measures = [measure(item.samples, item.input.sample_rate) for item in items]
        waveforms = {
            index: resample(items[index].samples, items[index].input.sample_rate, SAMPLE_RATE)
            for index, measured in enumerate(measures)
            if measured.loudness is not None
        }
        # Samples near the largest float are finite until they are filtered.
        finite = {index: samples for index, samples in waveforms.items() if np.isfinite(samples).all()}
        scores: dict[int, ScorerOutput] = defaultdict(dict)
        for name in self.scorers if finite else ():
            for index, found in zip(finite, models.quality_scorer(name).score(list(finite.values())), strict=True):
                scores[index].update(found)
        outcomes: list[QualityPayload | Drop] = []
        for index, measured in enumerate(measures):
            payload = _payload(self.revision, measured, scores[index])
            if measured.loudness is None:
                outcomes.append(Drop("silent", "every sample is zero", payload))
            elif index not in finite:
                outcomes.append(Drop("not_finite", f"resampled to {SAMPLE_RATE} Hz"))
            else:
                outcomes.append(payload)
        return outcomes


def _payload(model: str, measured: Measures, scores: ScorerOutput) -> QualityPayload:
    return QualityPayload(
        model=model,
        dnsmos_ovrl=scores.get("dnsmos_ovrl"),
        dnsmos_sig=scores.get("dnsmos_sig"),
        dnsmos_bak=scores.get("dnsmos_bak"),
        dnsmos_p808=scores.get("dnsmos_p808"),
        distillmos=scores.get("distillmos"),
        snr=measured.snr,
        bandwidth=measured.bandwidth,
        loudness=measured.loudness,
        clipping=None if measured.loudness is None else measured.clipping,
    )
