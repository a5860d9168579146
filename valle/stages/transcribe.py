"""Segments to transcripts: what the ASR heard, what the corpus says, how far they differ, and which text is used."""

from collections.abc import Sequence
from dataclasses import field
from typing import ClassVar

from pydantic.dataclasses import dataclass as options

from valle.backends.asr import SAMPLE_RATE, Transcriber, Transcription, transcriber_revision
from valle.backends.registry import Backends
from valle.phonemes.text import LANGUAGES
from valle.stages.base import STRICT, StageInput, WorkItem
from valle.stages.plausibility import (
    ConfidenceRules,
    Fault,
    characters_per_second,
    disagreement,
    given_fault,
    heard_fault,
    phoneme_disagreement,
    rate_fault,
)
from warehouse.rows import TranscriptRow

_DEFAULT_LANGUAGE = "en"
_GIVEN = "given"
_PHONEMIZER = "espeak"
_FINAL = ("wrong_language", "empty")
"""Faults that a second transcription cannot mend."""


def _given_text(source: StageInput) -> str | None:
    return (source.text or "").strip() or None


@options(frozen=True, kw_only=True, config=STRICT)
class Transcribe:
    """Options of transcription."""

    name: ClassVar[str] = "transcribe"
    version: ClassVar[int] = 4
    reads: ClassVar[str] = "segments"
    writes: ClassVar[type] = TranscriptRow

    model: str = "tiny.en"
    """ASR model: `tiny.en` (embedded), `base`, `large-v3`, another faster-whisper name, or a directory."""
    languages: tuple[str, ...] = LANGUAGES
    """Languages to keep; speech in another one is dropped as `wrong_language`."""
    check_given: bool = True
    """Listen to segments whose text the corpus gives as well; without it that text is trusted unheard."""
    max_disagreement: float = 0.5
    """A given text with a higher word error rate against the transcription is dropped as `disagrees`, unless both are
    read alike: their phonemes differ by no more than half of this."""
    min_language_probability: float = 0.5
    """A multilingual model must find the language at least this likely."""
    min_logprob: float = -1.0
    """A lower mean log-probability of the tokens is dropped as `low_logprob`."""
    max_compression_ratio: float = 2.4
    """Text that compresses better is dropped as `repetitive`."""
    max_no_speech: float = 0.6
    """A higher no-speech probability makes a doubtful transcript `no_speech`."""
    recheck: bool = True
    """Listen to a faulty transcript's segment once more, alone and with five beams."""
    batch_seconds: float = field(default=240.0, metadata={"neutral": True})
    """Audio that one call gets, padding included."""

    @property
    def audio_rate(self) -> int | None:
        """Whisper's rate."""
        return SAMPLE_RATE

    def revision(self, backends: Backends) -> str:
        """The ASR model's name and weights."""
        return transcriber_revision(self.model)

    def process(self, items: Sequence[WorkItem], backends: Backends) -> list[TranscriptRow]:
        """One row per segment."""
        trusted = {i for i, item in enumerate(items) if not self.check_given and _given_text(item.input)}
        transcriber = backends.transcriber(self.model) if len(trusted) < len(items) else None
        heard = self._hear(items, trusted, transcriber) if transcriber else {}
        return [self._outcome(item, heard.get(index), transcriber, backends) for index, item in enumerate(items)]

    def drop(self, source: StageInput, reason: str, detail: str) -> TranscriptRow:
        """The row of a segment without a transcript."""
        return self._row(source, None, None, Fault(reason, detail))

    def _hear(self, items: Sequence[WorkItem], trusted: set[int], transcriber: Transcriber) -> dict[int, Transcription]:
        """What was heard in the segments that the model can listen to, one call per declared language."""
        by_language: dict[str | None, list[int]] = {}
        for index, item in enumerate(items):
            language = item.input.language
            is_known = transcriber.is_multilingual or language in (None, _DEFAULT_LANGUAGE)
            if index not in trusted and is_known and language in (None, *self.languages):
                by_language.setdefault(language, []).append(index)
        heard: dict[int, Transcription] = {}
        for language, indices in by_language.items():
            results = transcriber.transcribe([items[index].samples for index in indices], language)
            heard.update(zip(indices, results, strict=True))
        return heard

    def _outcome(
        self, item: WorkItem, heard: Transcription | None, transcriber: Transcriber | None, backends: Backends
    ) -> TranscriptRow:
        source = item.input
        if heard is None:
            return self._row(source, None, None, self._unheard_fault(source))
        differs = self._difference(source, heard, backends)
        fault = self._fault(source, heard, differs)
        if fault is not None and fault.reason not in _FINAL and self.recheck and transcriber is not None:
            again = transcriber.transcribe([item.samples], source.language, careful=True)[0]
            differs_again = self._difference(source, again, backends)
            if self._fault(source, again, differs_again) is None:
                heard, differs, fault = again, differs_again, None
        return self._row(source, heard, differs, fault)

    def _difference(self, source: StageInput, heard: Transcription, backends: Backends) -> float | None:
        """Return the word error rate against the given text; 0 where both are read alike.

        It is the phoneme error rate where the words disagree and the phonemes do not.
        """
        given = _given_text(source)
        if given is None:
            return None
        words = disagreement(given, heard.text, heard.language)
        if words == 0 or heard.language not in LANGUAGES:
            return words
        phonemes = phoneme_disagreement(given, heard.text, heard.language, backends.phonemizer(_PHONEMIZER))
        is_spelling = phonemes == 0 or (words > self.max_disagreement and phonemes <= self.max_disagreement / 2)
        return phonemes if is_spelling else words

    def _unheard_fault(self, source: StageInput) -> Fault | None:
        """Faults of a segment that was not listened to: it has a trusted text, or the model lacks its language."""
        language = source.language or _DEFAULT_LANGUAGE
        if language not in self.languages:
            return Fault("wrong_language", f"declared as {language}")
        given = _given_text(source)
        if given is None:
            return Fault("wrong_language", f"{self.model} does not know {language}")
        return given_fault(given, language) or rate_fault(given, source.duration, language)

    def _fault(self, source: StageInput, heard: Transcription, differs: float | None) -> Fault | None:
        likely = heard.language_probability
        if heard.language not in self.languages or (likely is not None and likely < self.min_language_probability):
            return Fault("wrong_language", f"{heard.language} with probability {1.0 if likely is None else likely:.2f}")
        given = _given_text(source)
        if given is None:
            return heard_fault(heard, source.duration, self._confidence_rules())
        if (fault := given_fault(given, heard.language)) is not None:
            return fault
        if differs is not None and differs > self.max_disagreement:
            return Fault("disagrees", f"word error rate {differs:.2f}")
        return rate_fault(given, source.duration, heard.language)

    def _confidence_rules(self) -> ConfidenceRules:
        return ConfidenceRules(
            min_logprob=self.min_logprob,
            max_compression_ratio=self.max_compression_ratio,
            max_no_speech=self.max_no_speech,
        )

    def _row(
        self, source: StageInput, heard: Transcription | None, differs: float | None, fault: Fault | None
    ) -> TranscriptRow:
        given = _given_text(source)
        text = given or (heard.text if heard else None)
        language = heard.language if heard else source.language or _DEFAULT_LANGUAGE
        return TranscriptRow(
            segment_id=source.id,
            corpus=source.corpus,
            shard=source.shard,
            fingerprint=source.fingerprint,
            model=transcriber_revision(self.model) if heard else _GIVEN,
            text=text,
            asr_text=heard.text if heard else None,
            given_text=given,
            disagreement=differs,
            language=language,
            language_probability=heard.language_probability if heard else None,
            average_logprob=heard.average_logprob if heard else None,
            no_speech_probability=heard.no_speech_probability if heard else None,
            compression_ratio=heard.compression_ratio if heard else None,
            characters_per_second=characters_per_second(text, source.duration, language) if text else None,
            drop_reason=fault.reason if fault else None,
            drop_detail=fault.detail if fault else None,
        )
