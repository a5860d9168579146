"""The phoneme table: every symbol of the six languages and its integer, fixed in `table.txt`.

A line holds one symbol, and its line number is the integer. New symbols are only appended, since the embeddings of
checkpoints are indexed by these integers.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from valle.phonemes.symbols import SPACE

UNKNOWN, BEGIN, END, MASK = "<unk>", "<bos>", "<eos>", "<mask>"
_SPACE_LINE = "<space>"


@dataclass(frozen=True)
class PhonemeTable:
    """A bijection of symbols and integers."""

    symbols: tuple[str, ...]
    _numbers: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        assert self.symbols[:5] == (UNKNOWN, BEGIN, END, MASK, SPACE), "the first five symbols are fixed"
        assert len(set(self.symbols)) == len(self.symbols), "a symbol is in the table twice"
        object.__setattr__(self, "_numbers", {symbol: number for number, symbol in enumerate(self.symbols)})

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def strings(self) -> dict[str, int]:
        """Return nothing: the symbols are the whole table, unlike one of pieces."""
        return {}

    @property
    def revision(self) -> str:
        """Eight hex digits of a hash of the content; checkpoints store it."""
        return hashlib.sha256("\n".join(self.symbols).encode()).hexdigest()[:8]

    def encode(self, symbols: Sequence[str]) -> list[int]:
        """Encode `symbols` between `<bos>` and `<eos>`; a symbol that is not in the table becomes `<unk>`."""
        unknown = self._numbers[UNKNOWN]
        return [self._numbers[BEGIN], *(self._numbers.get(s, unknown) for s in symbols), self._numbers[END]]

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """Decode `numbers` to symbols, without `<bos>` and `<eos>`."""
        return [self.symbols[number] for number in numbers if self.symbols[number] not in (BEGIN, END)]

    def unknown(self, symbols: Iterable[str]) -> list[str]:
        """Return the symbols that are not in the table, each as often as it occurs."""
        return [symbol for symbol in symbols if symbol not in self._numbers]


def read_table(path: Path) -> PhonemeTable:
    """Read a table from a file of one symbol per line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return PhonemeTable(tuple(SPACE if line == _SPACE_LINE else line for line in lines))


@cache
def phoneme_table() -> PhonemeTable:
    """Return the phoneme table of this project."""
    return read_table(Path(__file__).with_name("table.txt"))
