"""Segments to opinions on how good they sound. Thresholds belong to the SQL that selects a training set, not here."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import field
from typing import ClassVar

from pydantic.dataclasses import dataclass as options

from valle.audio import resample
from valle.backends.quality import SAMPLE_RATE, Measures, ScorerOutput, measure, quality_scorer_revision
from valle.backends.registry import Backends
from valle.stages.base import STRICT, StageInput, WorkItem
from warehouse.rows import QualityRow

_SILENCE = Measures(None, None, None, 0.0)


@options(frozen=True, kw_only=True, config=STRICT)
class Quality:
    """Options of quality scoring."""

    name: ClassVar[str] = "quality"
    version: ClassVar[int] = 1
    reads: ClassVar[str] = "segments"
    writes: ClassVar[type] = QualityRow

    scorers: tuple[str, ...] = ("dnsmos",)
    """Models to ask: `dnsmos`, `dnsmos_full`, `distillmos`; none leaves only the signal measures."""
    batch_seconds: float = field(default=240.0, metadata={"neutral": True})
    """Audio that one call gets, padding included."""

    @property
    def audio_rate(self) -> int | None:
        """0: the recording's own rate, since resampling would hide a lost band."""
        return 0

    def revision(self, backends: Backends) -> str:
        """The scorers' names and weights."""
        return "+".join(quality_scorer_revision(name) for name in self.scorers)

    def process(self, items: Sequence[WorkItem], backends: Backends) -> list[QualityRow]:
        """One row per segment."""
        measures = [measure(item.samples, item.input.sample_rate) for item in items]
        audible = [index for index, found in enumerate(measures) if found.loudness is not None]
        waveforms = [resample(items[index].samples, items[index].input.sample_rate, SAMPLE_RATE) for index in audible]
        opinions: dict[int, ScorerOutput] = defaultdict(dict)
        for name in self.scorers if audible else ():
            answers = backends.quality_scorer(name).score(waveforms)
            for index, answer in zip(audible, answers, strict=True):
                opinions[index].update(answer)
        model = self.revision(backends)
        return [
            self._row(item.input, model, found, opinions[index], None, None)
            if found.loudness is not None
            else self._row(item.input, model, found, {}, "silent", "no sound at all")
            for index, (item, found) in enumerate(zip(items, measures, strict=True))
        ]

    def drop(self, source: StageInput, reason: str, detail: str) -> QualityRow:
        """The row of a segment that cannot be judged."""
        return self._row(source, "+".join(self.scorers), _SILENCE, {}, reason, detail)

    @staticmethod
    def _row(
        source: StageInput, model: str, found: Measures, opinions: ScorerOutput, reason: str | None, detail: str | None
    ) -> QualityRow:
        return QualityRow(
            segment_id=source.id,
            corpus=source.corpus,
            shard=source.shard,
            fingerprint=source.fingerprint,
            model=model,
            dnsmos_ovrl=opinions.get("dnsmos_ovrl"),
            dnsmos_sig=opinions.get("dnsmos_sig"),
            dnsmos_bak=opinions.get("dnsmos_bak"),
            dnsmos_p808=opinions.get("dnsmos_p808"),
            distillmos=opinions.get("distillmos"),
            snr=found.snr,
            bandwidth=found.bandwidth,
            loudness=found.loudness,
            clipping=None if found.loudness is None else found.clipping,
            drop_reason=reason,
            drop_detail=detail,
        )
