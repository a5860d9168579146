"""Transcribe segments: the ASR's text, the corpus's text, how far they differ, and the text in use."""

from collections.abc import Sequence
from dataclasses import field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as options

from valle.backends.asr import SAMPLE_RATE, transcriber_revision
from valle.backends.registry import Backends
from valle.backends.transcription import Transcriber, Transcription
from valle.phonemes.text import LANGUAGES
from valle.stages.base import STRICT, AudioNeed, Drop, Fraction, Seconds, Stage, StageInput, WorkItem, audio_at
from valle.stages.rules.plausibility import (
    ConfidenceRules,
    characters_per_second,
    disagreement,
    given_fault,
    phoneme_disagreement,
    rate_fault,
    transcription_fault,
)
from warehouse.catalogue.planning import InputView
from warehouse.rows import StageRow, TranscriptPayload, TranscriptRow

_DEFAULT_LANGUAGE = "en"
_GIVEN = "given"
_PHONEMIZER = "espeak"
# Faults that a second transcription cannot mend.
_FINAL = ("wrong_language", "empty")


def _given_text(source: StageInput) -> str | None:
    return (source.text or "").strip() or None


@options(frozen=True, kw_only=True, config=STRICT)
class Transcribe(Stage):
    """Options of transcription."""

    name: ClassVar[str] = "transcribe"
    version: ClassVar[int] = 4
    reads: ClassVar[InputView] = "segments"
    writes: ClassVar[type[StageRow]] = TranscriptRow

    model: str = "tiny.en"
    """ASR model: `tiny.en` (embedded), `base`, `large-v3`, another faster-whisper name, or a directory."""
    languages: tuple[str, ...] = LANGUAGES
    """Languages to keep; speech in another one is dropped as `wrong_language`."""
    check_given: bool = True
    """Transcribe segments whose text the corpus gives too; without it that text is used unchecked."""
    max_disagreement: Annotated[float, Field(ge=0, le=1_000)] = 0.5
    """A given text with a higher word error rate against the transcription is dropped as `disagrees`, unless both are
    pronounced alike: their phonemes differ by no more than half of this."""
    min_language_probability: Fraction = 0.5
    """A multilingual model must find the language at least this likely."""
    min_logprob: Annotated[float, Field(ge=-1_000, le=0)] = -1.0
    """A lower mean log-probability of the tokens is dropped as `low_logprob`."""
    max_compression_ratio: Annotated[float, Field(gt=0, le=1_000)] = 2.4
    """Text that compresses better is dropped as `repetitive`."""
    max_no_speech: Fraction = 0.6
    """A higher no-speech probability makes a doubtful transcript `no_speech`."""
    packing: Literal["off", "auto"] = "off"
    """`auto` encodes several clips below 10 s of a declared language in one window: faster, texts differ slightly."""
    recheck: bool = True
    """Transcribe the segment of a faulty transcript once more, alone and with five beams."""
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

    @property
    def effective_options(self) -> dict[str, Any]:
        """The options of a stage; without `packing` where it is off, as in rows that are older than the option."""
        options = super().effective_options
        if self.packing == "off":
            del options["packing"]
        return options

    def process(self, items: Sequence[WorkItem], models: Backends) -> list[TranscriptPayload | Drop]:
        """Transcribe every segment whose text is not trusted, and decide which text is used."""
        trusted = {i for i, item in enumerate(items) if not self.check_given and _given_text(item.input)}
        transcriber = models.transcriber(self.model) if len(trusted) < len(items) else None
        transcriptions = self._transcribe(items, trusted, transcriber) if transcriber else {}
        return [self._outcome(item, transcriptions.get(index), transcriber, models) for index, item in enumerate(items)]

    def _transcribe(
        self, items: Sequence[WorkItem], trusted: set[int], transcriber: Transcriber
    ) -> dict[int, Transcription]:
        """Transcribe the items in a language of the model, one call per declared language; answer by index."""
        by_language: dict[str | None, list[int]] = {}
        for index, item in enumerate(items):
            language = item.input.language
            is_known = transcriber.is_multilingual or language in (None, _DEFAULT_LANGUAGE)
            if index not in trusted and is_known and language in (None, *self.languages):
                by_language.setdefault(language, []).append(index)
        transcriptions: dict[int, Transcription] = {}
        for language, indices in by_language.items():
            waveforms = [items[index].samples for index in indices]
            if self.packing == "auto":
                results = transcriber.transcribe_packed(waveforms, language)
            else:
                results = transcriber.transcribe(waveforms, language)
            transcriptions.update(zip(indices, results, strict=True))
        return transcriptions

    def _outcome(
        self, item: WorkItem, transcription: Transcription | None, transcriber: Transcriber | None, models: Backends
    ) -> TranscriptPayload | Drop:
        source = item.input
        if transcription is None:
            return self._with_payload(source, None, None, self._untranscribed_fault(source))
        difference = self._difference(source, transcription, models)
        fault = self._fault(source, transcription, difference)
        if fault is not None and fault.reason not in _FINAL and self.recheck and transcriber is not None:
            careful = transcriber.transcribe([item.samples], source.language, careful=True)[0]
            careful_difference = self._difference(source, careful, models)
            if self._fault(source, careful, careful_difference) is None:
                transcription, difference, fault = careful, careful_difference, None
        return self._with_payload(source, transcription, difference, fault)

    def _difference(self, source: StageInput, transcription: Transcription, models: Backends) -> float | None:
        """Return the word error rate against the given text; 0 where both are pronounced alike.

        It is the phoneme error rate where the words disagree and the phonemes do not.
        """
        given, language = _given_text(source), transcription.language
        if given is None:
            return None
        words = disagreement(given, transcription.text, language)
        if words == 0 or language not in LANGUAGES:
            return words
        phonemes = phoneme_disagreement(given, transcription.text, language, models.phonemizer(_PHONEMIZER))
        is_spelling = phonemes == 0 or (words > self.max_disagreement and phonemes <= self.max_disagreement / 2)
        return phonemes if is_spelling else words

    def _untranscribed_fault(self, source: StageInput) -> Drop | None:
        """Return the fault of a segment without a transcription: its text is trusted or its language unknown."""
        language = source.language or _DEFAULT_LANGUAGE
        if language not in self.languages:
            return Drop("wrong_language", f"declared as {language}")
        given = _given_text(source)
        if given is None:
            return Drop("wrong_language", f"{self.model} does not support {language}")
        return given_fault(given, language) or rate_fault(given, source.duration, language)

    def _fault(self, source: StageInput, transcription: Transcription, difference: float | None) -> Drop | None:
        language, likely = transcription.language, transcription.language_probability
        if language not in self.languages or (likely is not None and likely < self.min_language_probability):
            return Drop("wrong_language", f"{language} with probability {1.0 if likely is None else likely:.2f}")
        given = _given_text(source)
        if given is None:
            return transcription_fault(transcription, source.duration, self._confidence_rules())
        if (fault := given_fault(given, language)) is not None:
            return fault
        if difference is not None and difference > self.max_disagreement:
            return Drop("disagrees", f"word error rate {difference:.2f}")
        return rate_fault(given, source.duration, language)

    def _confidence_rules(self) -> ConfidenceRules:
        return ConfidenceRules(
            min_logprob=self.min_logprob,
            max_compression_ratio=self.max_compression_ratio,
            max_no_speech=self.max_no_speech,
        )

    def _with_payload(
        self, source: StageInput, transcription: Transcription | None, difference: float | None, fault: Drop | None
    ) -> TranscriptPayload | Drop:
        """Return the transcript; of a faulty one the drop that keeps its texts, so that they can be reviewed."""
        given = _given_text(source)
        text = given or (transcription.text if transcription else None)
        language = transcription.language if transcription else source.language or _DEFAULT_LANGUAGE
        payload = TranscriptPayload(
            model=transcriber_revision(self.model) if transcription else _GIVEN,
            text=text,
            asr_text=transcription.text if transcription else None,
            given_text=given,
            disagreement=difference,
            language=language,
            language_probability=transcription.language_probability if transcription else None,
            average_logprob=transcription.average_logprob if transcription else None,
            no_speech_probability=transcription.no_speech_probability if transcription else None,
            compression_ratio=transcription.compression_ratio if transcription else None,
            characters_per_second=characters_per_second(text, source.duration, language) if text else None,
        )
        return payload if fault is None else Drop(fault.reason, fault.detail, payload)
