"""Align transcripts: every word of the text in use with its start, end and confidence."""

from collections.abc import Sequence
from dataclasses import field
from typing import ClassVar

import numpy as np
from pydantic.dataclasses import dataclass as options

from valle.backends.alignment import TimedWord
from valle.backends.asr import LONGEST_ALIGNED_SECONDS, SAMPLE_RATE, transcriber_revision
from valle.backends.registry import Backends
from valle.stages.base import STRICT, AudioNeed, Drop, Fraction, Seconds, Stage, WorkItem, audio_at
from warehouse.catalogue.planning import InputView
from warehouse.rows import AlignmentPayload, AlignmentRow, StageRow, Word

_DEFAULT_LANGUAGE = "en"


@options(frozen=True, kw_only=True, config=STRICT)
class Align(Stage):
    """Options of the alignment of words."""

    name: ClassVar[str] = "align"
    version: ClassVar[int] = 2
    reads: ClassVar[InputView] = "transcripts"
    writes: ClassVar[type[StageRow]] = AlignmentRow

    model: str = "tiny.en"
    """ASR model that locates the words: `tiny.en` (embedded), `base`, another faster-whisper name, or a directory."""
    min_confidence: Fraction = 0.2
    """A lower mean confidence of the words is dropped as `misaligned`."""
    batch_seconds: Seconds = field(default=240.0, metadata={"neutral": True})
    """Audio of one call, padding included."""

    @property
    def audio(self) -> AudioNeed:
        """Whisper's rate."""
        return audio_at(SAMPLE_RATE)

    @property
    def revision(self) -> str:
        """The ASR model's name and weights."""
        return transcriber_revision(self.model)

    def process(self, items: Sequence[WorkItem], models: Backends) -> list[AlignmentPayload | Drop]:
        """Align every transcript that the model can align, with one call per language."""
        transcriber = models.transcriber(self.model)
        outcomes: dict[int, AlignmentPayload | Drop] = {}
        by_language: dict[str, list[int]] = {}
        for index, item in enumerate(items):
            language = item.input.language or _DEFAULT_LANGUAGE
            if item.input.duration > LONGEST_ALIGNED_SECONDS:
                outcomes[index] = Drop("too_long", f"{item.input.duration:.1f} s, above {LONGEST_ALIGNED_SECONDS:g}")
            elif language != _DEFAULT_LANGUAGE and not transcriber.is_multilingual:
                outcomes[index] = Drop("unsupported_language", f"{language}, which {self.model} was not trained on")
            else:
                by_language.setdefault(language, []).append(index)
        for language, indices in by_language.items():
            waveforms = [items[index].samples for index in indices]
            texts = [items[index].input.text or "" for index in indices]
            aligned = transcriber.align(waveforms, texts, language)
            outcomes.update((i, self._outcome(words)) for i, words in zip(indices, aligned, strict=True))
        return [outcomes[index] for index in range(len(items))]

    def _outcome(self, words: Sequence[TimedWord]) -> AlignmentPayload | Drop:
        if not words:
            return Drop("unaligned", "the tokens of the model do not spell the text")
        confidence = float(np.mean([word.confidence for word in words]))
        payload = AlignmentPayload(
            model=self.revision,
            words=[Word(word=one.word, start=one.start, end=one.end, confidence=one.confidence) for one in words],
            num_words=len(words),
            confidence=confidence,
        )
        if confidence < self.min_confidence:
            return Drop("misaligned", f"confidence {confidence:.2f}, below {self.min_confidence:g}", payload)
        return payload
