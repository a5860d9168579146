"""Rescore transcriptions under other text normalisers, from the stored raw texts and without another transcription."""

import dataclasses
from collections.abc import Sequence

from valle.text.errors import count_character_errors, count_word_errors
from valle.text.normalise import Normaliser, normalisers
from warehouse.errors import DependencyError
from warehouse.model_rows import ScoreRow

# Normalisers for more languages than English.
_MULTILINGUAL = ("seed", "f5", "multilingual")


def rescore(rows: Sequence[ScoreRow]) -> list[ScoreRow]:
    """Return the rows, and again under each registered normaliser that they do not have yet.

    Rows without raw texts are returned alone. A normaliser is skipped when its library is not installed, when it does
    not support one of the languages, or when it leaves no word of one of the references: rates over some of the
    utterances are not comparable with rates over all.
    """
    # Rows of before raw texts were stored, and of external tables.
    if any(row.reference_raw is None for row in rows):
        return list(rows)
    languages = {row.language or "en" for row in rows}
    present = {row.normaliser for row in rows}
    # Rows may be stored under several normalisers, which share their raw texts.
    by_output = {(row.system, row.utterance, row.trial): row for row in rows}
    added: list[ScoreRow] = []
    for normaliser in normalisers().values():
        is_supported = normaliser.name in _MULTILINGUAL or languages == {"en"}
        if is_supported and normaliser.label not in present:
            added += _rescore_under(normaliser, list(by_output.values()))
    return [*rows, *added]


def _rescore_under(normaliser: Normaliser, rows: Sequence[ScoreRow]) -> list[ScoreRow]:
    rescored = []
    references: dict[tuple[str, str], str] = {}
    for row in rows:
        language = row.language or "en"
        key = (row.reference_raw or "", language)
        try:
            # Every system has the same references; some normalisers are slow.
            if key not in references:
                references[key] = normaliser(*key)
            hypothesis = normaliser(row.hypothesis_raw or "", language)
        except DependencyError:
            return []
        reference = references[key]
        if not reference.split():
            return []
        words, characters = count_word_errors(reference, hypothesis), count_character_errors(reference, hypothesis)
        rescored.append(
            dataclasses.replace(
                row,
                score_id=f"{row.score_id.removesuffix(row.normaliser)}{normaliser.label}",
                normaliser=normaliser.label,
                reference=reference,
                hypothesis=hypothesis,
                num_words=words.length,
                word_errors=words.errors,
                num_characters=characters.length,
                character_errors=characters.errors,
            )
        )
    return rescored
