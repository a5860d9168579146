"""Phonemize transcripts: IPA symbols, with the symbols that the phoneme table lacks counted and named."""

from collections.abc import Sequence
from dataclasses import field
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass as options

from valle.backends.registry import Backends
from valle.phonemes import (
    LANGUAGES,
    SPACE,
    normalise,
    phoneme_table,
    phonemizer_revision,
    wrong_script,
)
from valle.phonemes.symbols import PUNCTUATION
from valle.stages.base import NO_AUDIO, STRICT, AudioNeed, Drop, Seconds, Stage, StageInput, WorkItem
from warehouse.catalogue.planning import InputView
from warehouse.rows import PhonemePayload, PhonemeRow, StageRow


@options(frozen=True, kw_only=True, config=STRICT)
class Phonemize(Stage):
    """Options of phonemization."""

    name: ClassVar[str] = "phonemize"
    version: ClassVar[int] = 7
    reads: ClassVar[InputView] = "transcripts"
    writes: ClassVar[type[StageRow]] = PhonemeRow

    phonemizer: str = "espeak"
    """Phonemizer by name; `espeak` uses haqumei for Japanese and pypinyin for Mandarin."""
    default_language: str = "en"
    """Language of a transcript that declares none."""
    max_unknown: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """More symbols outside the phoneme table than this, and the row is dropped as `unknown_symbols`."""
    batch_seconds: Seconds = field(default=3600.0, metadata={"neutral": True})
    """Audio of the transcripts of one call."""

    @property
    def audio(self) -> AudioNeed:
        """None: the stage reads text."""
        return NO_AUDIO

    @property
    def revision(self) -> str:
        """The phonemizer's versions and the content of the phoneme table."""
        return f"{phonemizer_revision(self.phonemizer)}+table@{phoneme_table().revision}"

    def process(self, items: Sequence[WorkItem], models: Backends) -> list[PhonemePayload | Drop]:
        """Phonemize the text of every transcript that has one in its language, with one call per language."""
        drops = [self._unusable_text(item.input) for item in items]
        usable = [item.input for item, drop in zip(items, drops, strict=True) if drop is None]
        symbols = self._symbols(usable, models)
        return [
            drop or self._outcome(item.input, symbols[item.input.id]) for item, drop in zip(items, drops, strict=True)
        ]

    def _unusable_text(self, source: StageInput) -> Drop | None:
        """Return why a transcript is not phonemized, or None."""
        language = source.language or self.default_language
        text = normalise(source.text or "")
        if language not in LANGUAGES:
            return Drop("unsupported_language", language)
        if not any(character.isalnum() for character in text):
            return Drop("empty", f"no letter in {text[:40]!r}")
        fault = wrong_script(text, language)
        return None if fault is None else Drop("wrong_script", fault)

    def _symbols(self, sources: Sequence[StageInput], models: Backends) -> dict[str, list[str]]:
        """Return the symbols of each transcript by its id."""
        phonemizer = models.phonemizer(self.phonemizer)
        by_language: dict[str, list[StageInput]] = {}
        for source in sources:
            by_language.setdefault(source.language or self.default_language, []).append(source)
        symbols: dict[str, list[str]] = {}
        for language, group in by_language.items():
            phonemized = phonemizer.phonemize([source.text or "" for source in group], language)
            symbols.update(zip((source.id for source in group), phonemized, strict=True))
        return symbols

    def _outcome(self, source: StageInput, symbols: list[str]) -> PhonemePayload | Drop:
        if all(symbol == SPACE or symbol in PUNCTUATION for symbol in symbols):
            return Drop("empty", f"no phoneme in {normalise(source.text or '')[:40]!r}")
        language = source.language or self.default_language
        unknown = phoneme_table().unknown(symbols)
        payload = PhonemePayload(
            model=f"{phonemizer_revision(self.phonemizer, language)}:{language}",
            language=language,
            symbols=symbols,
            num_symbols=len(symbols),
            num_unknown=len(unknown),
            unknown=sorted(set(unknown)),
        )
        if len(unknown) > self.max_unknown:
            return Drop("unknown_symbols", f"{len(unknown)} of {len(symbols)}", payload)
        return payload
