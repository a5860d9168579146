"""Stages of corpora of codes: text, phonemes and codes are read from their files, and no audio is decoded.

They have the names of the stages whose tables they fill, so that planning, selection and queries need to know nothing
of them.
"""

from collections.abc import Sequence
from dataclasses import field
from typing import TYPE_CHECKING, ClassVar

from pydantic.dataclasses import dataclass as options

from manifests.codes.containers import UnreadableCodes
from valle.backends.registry import Backends
from valle.codec import spec_of_given_codes
from valle.codec.base import CodecSpec
from valle.phonemes import phoneme_table
from valle.phonemes.symbols import split_symbols
from valle.stages.base import NO_AUDIO, STRICT, AudioNeed, Drop, Stage, StageInput, WorkItem
from warehouse.catalogue.planning import InputView
from warehouse.rows import (
    CodesPayload,
    CodesRow,
    PhonemePayload,
    PhonemeRow,
    StageRow,
    TranscriptPayload,
    TranscriptRow,
)

if TYPE_CHECKING:
    from manifests.codes.utterances import CodesUtterance

_GIVEN = "given"
_DEFAULT_LANGUAGE = "en"


@options(frozen=True, kw_only=True, config=STRICT)
class _GivenStage(Stage):
    """Base of the stages of this module."""

    batch_seconds: float = field(default=3600.0, metadata={"neutral": True})
    """Seconds of speech in one call."""

    @property
    def audio(self) -> AudioNeed:
        """None: there is no audio."""
        return NO_AUDIO

    @property
    def revision(self) -> str:
        """Nothing is computed."""
        return _GIVEN


@options(frozen=True, kw_only=True, config=STRICT)
class GivenText(_GivenStage):
    """The text of the corpus as the transcript."""

    name: ClassVar[str] = "transcribe"
    version: ClassVar[int] = 1
    reads: ClassVar[InputView] = "segments"
    writes: ClassVar[type[StageRow]] = TranscriptRow

    def process(self, items: Sequence[WorkItem], models: Backends) -> list[TranscriptPayload | Drop]:
        """Return the text of each utterance."""
        return [_transcript(item.input) for item in items]


@options(frozen=True, kw_only=True, config=STRICT)
class GivenPhonemes(_GivenStage):
    """The phonemes of the corpus; where it has none, those of the phonemizer."""

    name: ClassVar[str] = "phonemize"
    version: ClassVar[int] = 1
    reads: ClassVar[InputView] = "transcripts"
    writes: ClassVar[type[StageRow]] = PhonemeRow

    phonemizer: str = "espeak"
    """Phonemizer of texts without phonemes."""

    def process(self, items: Sequence[WorkItem], models: Backends) -> list[PhonemePayload | Drop]:
        """Return the phonemes of each utterance."""
        return [self._phonemes(item.input, models) for item in items]

    def _phonemes(self, source: StageInput, models: Backends) -> PhonemePayload | Drop:
        language = source.language or _DEFAULT_LANGUAGE
        try:
            given = _read(source).phonemes
        except UnreadableCodes as error:
            return Drop("unreadable_codes", str(error))
        if given is not None:
            symbols, model = split_symbols(given), f"{_GIVEN}:{language}"
        else:
            phonemizer = models.phonemizer(self.phonemizer)
            symbols, model = phonemizer.phonemize([source.text or ""], language)[0], f"{self.phonemizer}:{language}"
        if not symbols:
            return Drop("empty", "no phoneme")
        unknown = phoneme_table().unknown(symbols)
        return PhonemePayload(
            model=model,
            language=language,
            symbols=symbols,
            num_symbols=len(symbols),
            num_unknown=len(unknown),
            unknown=sorted(set(unknown)),
        )


@options(frozen=True, kw_only=True, config=STRICT)
class GivenCodes(_GivenStage):
    """The codes of the corpus."""

    name: ClassVar[str] = "quantize"
    version: ClassVar[int] = 1
    reads: ClassVar[InputView] = "segments"
    writes: ClassVar[type[StageRow]] = CodesRow

    codec: str = "encodec_24khz"
    """Codec that computed the codes."""

    @property
    def revision(self) -> str:
        """The codec's name and weights."""
        return spec_of_given_codes(self.codec).label

    def process(self, items: Sequence[WorkItem], models: Backends) -> list[CodesPayload | Drop]:
        """Read the codes of each utterance; those that are not of the codec are dropped as `wrong_codec`."""
        spec = spec_of_given_codes(self.codec)
        return [_codes(item.input, spec) for item in items]


def _transcript(source: StageInput) -> TranscriptPayload | Drop:
    text = (source.text or "").strip()
    if not text:
        return Drop("empty", "no text")
    return TranscriptPayload(
        model=_GIVEN,
        text=text,
        asr_text=None,
        given_text=text,
        disagreement=None,
        language=source.language or _DEFAULT_LANGUAGE,
        language_probability=None,
        average_logprob=None,
        no_speech_probability=None,
        compression_ratio=None,
        characters_per_second=len(text) / source.duration if source.duration else None,
    )


def _codes(source: StageInput, spec: CodecSpec) -> CodesPayload | Drop:
    try:
        utterance = _read(source)
    except UnreadableCodes as error:
        return Drop("unreadable_codes", str(error))
    codes = utterance.codes
    if len(codes) < spec.num_codebooks or codes.max() >= spec.codebook_size:
        found = f"{len(codes)} codebooks, codes up to {codes.max()}"
        return Drop("wrong_codec", f"{found}: not of {spec.name}")
    first = source.location.start_sample // spec.hop_length
    count = spec.num_frames(source.location.num_samples or codes.shape[1] * spec.hop_length)
    span = codes[: spec.num_codebooks, first : first + count]
    return CodesPayload(codec=spec.label, num_frames=span.shape[1], num_codebooks=len(span), codes=span.tolist())


def _read(source: StageInput) -> "CodesUtterance":
    # Loaded where codes are read: the forms of all flows name this stage.
    from manifests.codes.utterances import read_utterance

    return read_utterance(source.location.path)
