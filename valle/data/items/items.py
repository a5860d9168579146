"""Items of one split as flat arrays, without a Python object per utterance: `load.py` makes them.

Numbers have the smallest type that holds them: a set of ten million items has 60 bytes of them for each.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Numbers = NDArray[Any]
"""Integers of the smallest type that holds a column."""


@dataclass(frozen=True, slots=True)
class MixturePlaces:
    """Kind and place of the mixture of each item, [items]; the kind of an item without one is 0."""

    kinds: Numbers
    files: tuple[str, ...]
    file: Numbers
    row_group: Numbers
    row: Numbers


@dataclass(frozen=True, slots=True)
class Items:
    """Columns of a split, one entry per item unless noted."""

    ids: pa.ChunkedArray
    symbol_ids: Numbers  # of all items, one after the other
    symbol_starts: NDArray[np.int64]  # [items + 1]
    language_ids: NDArray[np.int64]
    num_frames: Numbers
    weights: NDArray[np.float32]
    files: tuple[str, ...]  # distinct data files
    file: Numbers  # index into `files`
    row_group: Numbers
    row: Numbers
    first_frame: Numbers  # of a part of a segment; -1 for a whole one
    speaker: Numbers  # index of the speaker
    by_speaker: Numbers  # items sorted by speaker
    rank: Numbers  # index of each item in `by_speaker`
    speaker_starts: NDArray[np.int64]  # [speakers + 1], into `by_speaker`
    borders: Numbers  # frames between the words of all items, n + 1 for n words
    border_starts: NDArray[np.int64]  # [items + 1], into `borders`; an item without word times has no border
    mixtures: MixturePlaces
    texts: pa.ChunkedArray | None  # written texts
    num_bytes: Numbers  # of each written text
    similar: Numbers  # [items, n] most similar items of the speaker, nearest first, then -1

    def __len__(self) -> int:
        return len(self.num_frames)

    def bytes_of(self, item: int) -> NDArray[np.int64]:
        """Return the UTF-8 bytes of the written text of one item."""
        assert self.texts is not None, "only items with texts have bytes"
        return np.frombuffer(self.texts[item].as_py().encode(), dtype=np.uint8).astype(np.int64)

    @property
    def mixture_kinds(self) -> Numbers:
        """Return the kind of the mixture of each item, a `MixtureKind`."""
        return self.mixtures.kinds

    def symbols_of(self, item: int) -> NDArray[np.int64]:
        """Return the symbol ids of one item."""
        return self.symbol_ids[self.symbol_starts[item] : self.symbol_starts[item + 1]].astype(np.int64)

    @property
    def num_symbols(self) -> NDArray[np.int64]:
        """Return the number of symbols of each item."""
        return np.diff(self.symbol_starts)
