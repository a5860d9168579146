"""Phoneme tables of imported weights: strings of one or more characters as integers, several strings for one integer.

The text is the characters in order, and the longest pieces are found by byte-pair merges. The order of the merges is
that of the integers of the pieces, so the strings and their integers are the whole table.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from valle.phonemes.table import BEGIN, END, MASK, UNKNOWN, PhonemeTable

# Names of special strings elsewhere.
_NAMES = {"</eos>": END}
_SPECIAL = (UNKNOWN, BEGIN, END, MASK)


@dataclass(frozen=True)
class PieceTable:
    """A table of pieces; `symbols` has one string of each integer, `strings` all of them."""

    symbols: tuple[str, ...]
    strings: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def revision(self) -> str:
        """Eight hex digits of a hash of the content."""
        content = "\n".join(f"{number} {string}" for string, number in sorted(self.strings.items()))
        return hashlib.sha256(content.encode()).hexdigest()[:8]

    def encode(self, symbols: Sequence[str]) -> list[int]:
        """Encode `symbols` between `<bos>` and `<eos>`; a character that is not in the table becomes `<unk>`."""
        ids: list[int] = self._tokenizer.encode("".join(symbols)).ids
        return [self.strings[BEGIN], *ids, self.strings[END]]

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """Decode `numbers` to pieces, without `<bos>` and `<eos>`."""
        return [self.symbols[number] for number in numbers if self.symbols[number] not in (BEGIN, END)]

    def unknown(self, symbols: Iterable[str]) -> list[str]:
        """Return the characters that are not in the table, each as often as it occurs."""
        return [character for symbol in symbols for character in symbol if character not in self.strings]

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer
        from tokenizers.models import BPE

        vocabulary = dict(self.strings)
        return Tokenizer(BPE(vocabulary, merges_of(vocabulary), unk_token=UNKNOWN, fuse_unk=False))


AnyTable = PhonemeTable | PieceTable


def piece_table(strings: Mapping[str, int]) -> PieceTable:
    """Build a table from the integer of every string. Raises ValueError when a special string or an integer lacks."""
    named = {_NAMES.get(string, string): number for string, number in strings.items()}
    if missing := [name for name in _SPECIAL if name not in named]:
        raise ValueError(f"the symbols lack {', '.join(missing)}")
    by_number: dict[int, str] = {}
    # Of several strings of one integer the plainest names it: a space, and not the modifier letter beside it.
    for string, number in sorted(named.items(), key=lambda item: (len(item[0]), item[0])):
        by_number.setdefault(number, string)
    if lacking := set(range(len(by_number))) - by_number.keys():
        raise ValueError(f"the symbols have no string for {min(lacking)}")
    return PieceTable(tuple(by_number[number] for number in range(len(by_number))), named)


def open_table(symbols: Sequence[str], strings: Mapping[str, int]) -> AnyTable:
    """Return the table of a checkpoint: of single symbols, or of pieces when there are `strings`."""
    return PieceTable(tuple(symbols), strings) if strings else PhonemeTable(tuple(symbols))


def merges_of(strings: Mapping[str, int]) -> list[tuple[str, str]]:
    """Derive the merges, first to last: the two pieces that earlier merges leave of each string."""
    ranks: dict[tuple[str, str], int] = {}
    pieces = [string for string in strings if len(string) > 1 and string not in _SPECIAL]
    for string in sorted(pieces, key=lambda string: strings[string]):
        parts = _merge(list(string), ranks)
        if len(parts) == 2:
            ranks[parts[0], parts[1]] = len(ranks)
    return list(ranks)


def _merge(parts: list[str], ranks: Mapping[tuple[str, str], int]) -> list[str]:
    while True:
        known = [pair for pair in pairwise(parts) if pair in ranks]
        if not known:
            return parts
        first, second = min(known, key=lambda pair: ranks[pair])
        merged: list[str] = []
        for part in parts:
            if merged and merged[-1] == first and part == second:
                merged[-1] = first + second
            else:
                merged.append(part)
        parts = merged
