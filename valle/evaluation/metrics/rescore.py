"""The same speech under other normalisers: errors counted again from the texts as they were, nothing heard again."""

import dataclasses
from collections.abc import Sequence

from valle.text.errors import count_character_errors, count_word_errors
from valle.text.normalise import Normaliser, normalisers
from warehouse.errors import DependencyError
from warehouse.rows import ScoreRow

_ANY_LANGUAGE = ("seed", "f5", "multilingual")
"""Normalisers that are made for more than English."""


def under_every_normaliser(rows: Sequence[ScoreRow]) -> list[ScoreRow]:
    """The rows as they are, and again under each registered normaliser that they do not have yet.

    Rows without their raw texts stay alone. A normaliser is left out for all rows when its library is not installed,
    when it was not made for one of the languages, or when it leaves no word of one of the references: rates of some
    of the utterances are not comparable with rates of all.
    """
    if any(row.reference_raw is None for row in rows):
        return list(rows)
    languages = {row.language or "en" for row in rows}
    known = {row.normaliser for row in rows}
    sources = {(row.system, row.utterance, row.trial): row for row in rows}
    added: list[ScoreRow] = []
    for normaliser in normalisers().values():
        is_made_for_all = normaliser.name in _ANY_LANGUAGE or languages == {"en"}
        if is_made_for_all and normaliser.label not in known:
            added += _under(normaliser, list(sources.values()))
    return [*rows, *added]


def _under(normaliser: Normaliser, rows: Sequence[ScoreRow]) -> list[ScoreRow]:
    counted = []
    references: dict[tuple[str, str], str] = {}
    for row in rows:
        language = row.language or "en"
        key = (row.reference_raw or "", language)
        try:
            if key not in references:
                references[key] = normaliser(*key)
            hypothesis = normaliser(row.hypothesis_raw or "", language)
        except DependencyError:
            return []
        reference = references[key]
        if not reference.split():
            return []
        words, characters = count_word_errors(reference, hypothesis), count_character_errors(reference, hypothesis)
        counted.append(
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
    return counted
