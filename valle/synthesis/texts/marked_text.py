"""From marked-up text to the sentences that are synthesized: phonemes, pauses and tempo of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from more_itertools import strip

from valle.phonemes import LANGUAGES, SPACE, wrong_script
from valle.phonemes.symbols import split_symbols
from valle.synthesis.texts.sentences import split_pieces
from valle.text.markup import MarkedSpan, Pause, parse_markup
from warehouse.errors import ConfigurationError

if TYPE_CHECKING:
    from valle.synthesis.options import LongFormOptions
    from valle.synthesis.synthesizer import Synthesizer


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence with its phonemes, or with the reason why it cannot be spoken.

    `pause` are the seconds of silence before it, None for the usual ones; `rate` is the factor on its tempo.
    """

    text: str
    symbols: tuple[str, ...]
    problem: str | None
    pause: float | None = None
    rate: float = 1.0


def read_sentences(synthesizer: Synthesizer, text: str, *, language: str, options: LongFormOptions) -> list[Sentence]:
    """Split a marked-up text into sentences with their phonemes; pauses and changes of tempo also split.

    Raises ConfigurationError for markup that is not supported, and as `split_pieces`.
    """
    sentences: list[Sentence] = []
    pause: float | None = None
    for part in _parts(synthesizer.lexicon.apply(parse_markup(text, language), language)):
        if isinstance(part, Pause):
            pause = (pause or 0.0) + part.seconds
            continue
        whole = "".join(span.text for span in part)
        end = 0
        for piece in split_pieces(whole, language, options):
            begin = whole.index(piece, end)
            end = begin + len(piece)
            spans = _within(part, begin, end)
            sentences.append(_sentence(synthesizer, piece, spans, language, pause))
            pause = None
    return sentences


def _parts(spans: Sequence[MarkedSpan | Pause]) -> list[list[MarkedSpan] | Pause]:
    """Group the spans between pauses and changes of tempo."""
    parts: list[list[MarkedSpan] | Pause] = []
    for span in spans:
        last = parts[-1] if parts else None
        if isinstance(span, Pause):
            parts.append(span)
        elif isinstance(last, list) and last[-1].rate == span.rate:
            last.append(span)
        else:
            parts.append([span])
    return parts


def _within(spans: Sequence[MarkedSpan], begin: int, end: int) -> list[MarkedSpan]:
    """Return the spans of the characters from `begin` to `end` of their joined text."""
    found = []
    start = 0
    for span in spans:
        first, last = max(begin - start, 0), min(end - start, len(span.text))
        if first < last:
            found.append(MarkedSpan(span.text[first:last], span.ipa, span.language, span.rate))
        start += len(span.text)
    return found


def _sentence(
    synthesizer: Synthesizer, text: str, spans: Sequence[MarkedSpan], language: str, pause: float | None
) -> Sentence:
    symbols: list[str] = []
    for span in spans:
        spoken = span.language or language
        # As `prepare` drops them: phonemes of a foreign script are letter names at best.
        if span.ipa is None and spoken in LANGUAGES and (fault := wrong_script(span.text, spoken)) is not None:
            return Sentence(text, (), f"it has {fault}", pause, spans[0].rate)
        added = _ipa(synthesizer, span.ipa) if span.ipa is not None else synthesizer.phonemize(span.text, spoken)
        added = list(strip(added, lambda symbol: symbol == SPACE))
        is_apart = span.ipa is not None or span.text[:1].isalnum() or span.text[:1].isspace()
        symbols += [SPACE, *added] if symbols and added and is_apart else added
    return Sentence(text, tuple(symbols), None if symbols else "it has no phonemes", pause, spans[0].rate)


def _ipa(synthesizer: Synthesizer, ipa: str) -> list[str]:
    symbols = split_symbols(ipa)
    if unknown := synthesizer.card.phoneme_table.unknown(symbols):
        raise ConfigurationError(f"{unknown[0]!r} in {ipa!r} is no phoneme of the model; write another IPA.")
    return symbols
