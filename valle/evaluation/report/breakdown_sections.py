"""Write the sections that break errors down: by length of the word, length of the sentence and pair of phonemes."""

from collections.abc import Callable, Mapping, Sequence

from valle.evaluation.report.columns import format_estimate
from valle.evaluation.report.sections import Cell, Section, section
from valle.evaluation.stats.bootstrap import BootstrapOptions, Estimate
from valle.evaluation.stats.breakdown import (
    SENTENCE_WORDS,
    WORD_LETTERS,
    class_names,
    errors_by_phoneme_pair,
    errors_by_sentence_length,
    errors_by_word_length,
)
from valle.evaluation.systems.base import control_of
from valle.phonemes import SPACE, open_phonemizer
from valle.phonemes.symbols import PUNCTUATION
from warehouse.model_rows import ScoreRow

Phonemize = Callable[[Sequence[str], str], Sequence[Sequence[str]]]
"""Return the phonemes of several texts of one language."""

SHOWN_PAIRS = 12
MIN_PAIR_COUNT = 3
"""Occurrences below which the rate of a pair is chance."""

_IGNORED = {SPACE, *PUNCTUATION, "ˈ", "ˌ"}


def length_sections(rows_by_system: Mapping[str, Sequence[ScoreRow]], options: BootstrapOptions) -> list[Section]:
    """Report word errors by letters of the word and by words of the sentence, a line per system."""
    tables = (
        ("Errors by word length", "letters", WORD_LETTERS, errors_by_word_length),
        ("Errors by sentence length", "words", SENTENCE_WORDS, errors_by_sentence_length),
    )
    return [
        section(
            heading,
            ["WER %", *(f"{name} {unit}" for name in class_names(bounds))],
            [[f"`{system}`", *_cells(estimate(rows, options=options))] for system, rows in rows_by_system.items()],
        )
        for heading, unit, bounds, estimate in tables
    ]


def _cells(estimates: Sequence[Estimate | None]) -> list[Cell]:
    return ["-" if estimate is None else format_estimate(estimate, 100, 2) for estimate in estimates]


def phoneme_pair_sections(
    rows_by_system: Mapping[str, Sequence[ScoreRow]], *, phonemize: Phonemize | None = None
) -> list[Section]:
    """Report the pairs of phonemes with the most errors, a table per system that is no control.

    Systems whose evaluation measured no phonemes have no table.
    """
    sections = []
    for system, rows in rows_by_system.items():
        if control_of(system) is None and all(row.phonemizer for row in rows):
            sections.append(_pair_section(system, rows, phonemize or open_phonemizer("espeak").phonemize))
    return sections


def _pair_section(system: str, rows: Sequence[ScoreRow], phonemize: Phonemize) -> Section:
    pairs = errors_by_phoneme_pair(_phonemes(rows, phonemize), min_count=MIN_PAIR_COUNT)
    total = sum(pair.errors for pair in pairs)
    lines: list[list[Cell]] = [
        [" ".join(pair.pair), pair.errors, pair.count, f"{100 * pair.rate:.0f}"]
        for pair in pairs[:SHOWN_PAIRS]
        if pair.errors
    ]
    return section(
        f"Errors by pair of phonemes: {system}",
        ["pair", "errors", "occurrences", "errors %"],
        lines,
        intro="Two phonemes in succession, by espeak-ng from the normalised texts, that the transcription lacks.",
        note=f"{len(pairs):,} pairs occur at least {MIN_PAIR_COUNT} times and have {total:,} errors.",
    )


def _phonemes(rows: Sequence[ScoreRow], phonemize: Phonemize) -> list[tuple[list[str], list[str]]]:
    """Return the phonemes of the reference and of the transcription of each row, without stress and punctuation."""
    pairs = []
    for row in rows:
        texts = [row.reference, row.hypothesis] if row.hypothesis else [row.reference]
        found = [
            [symbol for symbol in symbols if symbol not in _IGNORED]
            for symbols in phonemize(texts, row.language or "en")
        ]
        pairs.append((found[0], found[1] if row.hypothesis else []))
    return pairs
