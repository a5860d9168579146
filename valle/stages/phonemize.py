"""Transcripts to phonemes: IPA symbols, with everything the phoneme table does not hold counted and named."""

from collections.abc import Sequence
from dataclasses import field
from typing import ClassVar

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
from valle.stages.base import STRICT, StageInput, WorkItem
from warehouse.rows import PhonemeRow


@options(frozen=True, kw_only=True, config=STRICT)
class Phonemize:
    """Options of phonemization."""

    name: ClassVar[str] = "phonemize"
    version: ClassVar[int] = 3
    reads: ClassVar[str] = "transcripts"
    writes: ClassVar[type] = PhonemeRow

    phonemizer: str = "espeak"
    """Phonemizer by name; `espeak` reads Japanese with haqumei."""
    default_language: str = "en"
    """Language of a transcript that declares none."""
    max_unknown: int = 0
    """More symbols outside the phoneme table than this, and the row is dropped as `unknown_symbols`."""
    batch_seconds: float = field(default=3600.0, metadata={"neutral": True})
    """Audio whose transcripts make one call."""

    @property
    def audio_rate(self) -> int | None:
        """None: it reads text."""
        return None

    def revision(self, backends: Backends) -> str:
        """The phonemizer's versions and the phoneme table's content."""
        return f"{phonemizer_revision(self.phonemizer)}+table@{phoneme_table().revision}"

    def process(self, items: Sequence[WorkItem], backends: Backends) -> list[PhonemeRow]:
        """One row per transcript."""
        faults = [self._text_fault(item.input) for item in items]
        symbols = self._symbols([item.input for item, fault in zip(items, faults, strict=True) if not fault], backends)
        return [
            self.drop(item.input, *fault) if fault else self._outcome(item.input, symbols[item.input.id])
            for item, fault in zip(items, faults, strict=True)
        ]

    def drop(self, source: StageInput, reason: str, detail: str) -> PhonemeRow:
        """The row of a transcript without phonemes."""
        return self._row(source, None, [], reason, detail)

    def _text_fault(self, source: StageInput) -> tuple[str, str] | None:
        """Return why a transcript is not phonemized: a reason and its detail, or None."""
        language = source.language or self.default_language
        text = normalise(source.text or "")
        if language not in LANGUAGES:
            return "unsupported_language", language
        if not any(character.isalnum() for character in text):
            return "empty", f"no letter in {text[:40]!r}"
        fault = wrong_script(text, language)
        return None if fault is None else ("wrong_script", fault)

    def _symbols(self, sources: Sequence[StageInput], backends: Backends) -> dict[str, list[str]]:
        """Return the symbols of each transcript by its id, with one call per language."""
        phonemizer = backends.phonemizer(self.phonemizer)
        by_language: dict[str, list[StageInput]] = {}
        for source in sources:
            by_language.setdefault(source.language or self.default_language, []).append(source)
        symbols: dict[str, list[str]] = {}
        for language, group in by_language.items():
            read = phonemizer.phonemize([source.text or "" for source in group], language)
            symbols.update(zip((source.id for source in group), read, strict=True))
        return symbols

    def _outcome(self, source: StageInput, symbols: list[str]) -> PhonemeRow:
        if all(symbol == SPACE or symbol in PUNCTUATION for symbol in symbols):
            return self.drop(source, "empty", f"no sound in {normalise(source.text or '')[:40]!r}")
        unknown = phoneme_table().unknown(symbols)
        if len(unknown) > self.max_unknown:
            return self._row(source, symbols, unknown, "unknown_symbols", f"{len(unknown)} of {len(symbols)}")
        return self._row(source, symbols, unknown, None, None)

    def _row(
        self, source: StageInput, symbols: list[str] | None, unknown: list[str], reason: str | None, detail: str | None
    ) -> PhonemeRow:
        language = source.language or self.default_language
        return PhonemeRow(
            segment_id=source.id,
            corpus=source.corpus,
            shard=source.shard,
            fingerprint=source.fingerprint,
            model=f"{phonemizer_revision(self.phonemizer, language)}:{language}",
            language=language,
            symbols=symbols,
            num_symbols=len(symbols or []),
            num_unknown=len(unknown),
            unknown=sorted(set(unknown)) if symbols is not None else None,
            drop_reason=reason,
            drop_detail=detail,
        )
