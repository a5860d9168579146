"""A pronunciation lexicon: a file with a word and its IPA on each line, separated by a tab.

`#` begins a comment. A third column limits the entry to a language. Words are matched whole and without case.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from valle.text.markup import MarkedSpan, Pause
from warehouse.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Lexicon:
    """IPA by lower-case word and language; the language "" is every one."""

    entries: Mapping[tuple[str, str], str] = field(default_factory=lambda: MappingProxyType({}))

    def apply(self, spans: list[MarkedSpan | Pause], language: str) -> list[MarkedSpan | Pause]:
        """Return the spans with the words of the lexicon as spans of their own; spans with phonemes stay."""
        return [part for span in spans for part in self._apply(span, language)] if self.entries else spans

    def _apply(self, span: MarkedSpan | Pause, language: str) -> Iterator[MarkedSpan | Pause]:
        if isinstance(span, Pause) or span.ipa is not None:
            yield span
            return
        spoken = span.language or language
        known = sorted({word for word, limit in self.entries if limit in ("", spoken)}, key=len, reverse=True)
        if not known:
            yield span
            return
        words = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, known))})(?!\w)", re.IGNORECASE)
        end = 0
        for found in words.finditer(span.text):
            if found.start() > end:
                yield replace(span, text=span.text[end : found.start()])
            word = found[0].lower()
            ipa = self.entries.get((word, spoken)) or self.entries[word, ""]
            yield replace(span, text=found[0], ipa=ipa)
            end = found.end()
        if end < len(span.text):
            yield replace(span, text=span.text[end:])


def read_lexicon(path: Path) -> Lexicon:
    """Read a lexicon. Raises ConfigurationError that names the line for a malformed one."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The lexicon {path} cannot be read ({error}); give a UTF-8 file.") from error
    entries: dict[tuple[str, str], str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        columns = [column.strip() for column in line.split("\t")]
        if len(columns) not in (2, 3) or not columns[0] or not columns[1]:
            raise ConfigurationError(f"Line {number} of {path} is not a word, a tab and its IPA.")
        entries[columns[0].lower(), columns[2] if len(columns) == 3 else ""] = columns[1]
    return Lexicon(MappingProxyType(entries))


def find_lexicon(path: Path | None, data_root: Path) -> Lexicon:
    """Read a given lexicon, or `lexicon.tsv` of the data root if there is one. Errors as `read_lexicon`."""
    usual = data_root / "lexicon.tsv"
    if path is None and not usual.exists():
        return NO_LEXICON
    return read_lexicon(path or usual)


NO_LEXICON = Lexicon()
