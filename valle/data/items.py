"""Items of one split as flat arrays, without a Python object per utterance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from valle.tasks.base import MixtureKind
from valle.tasks.words import word_borders
from warehouse.errors import TrainingError

_NO_BORDERS = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Items:
    """Columns of a split, one entry per item unless noted."""

    ids: pa.ChunkedArray
    symbol_ids: NDArray[np.int64]  # of all items, one after the other
    symbol_starts: NDArray[np.int64]  # [items + 1]
    language_ids: NDArray[np.int64]
    num_frames: NDArray[np.int64]
    weights: NDArray[np.float64]
    files: tuple[str, ...]  # distinct data files
    file: NDArray[np.int64]  # index into `files`
    row_group: NDArray[np.int64]
    row: NDArray[np.int64]
    first_frame: NDArray[np.int64]  # of a part of a segment; -1 for a whole one
    speaker: NDArray[np.int64]  # index of the speaker
    by_speaker: NDArray[np.int64]  # items sorted by speaker
    rank: NDArray[np.int64]  # index of each item in `by_speaker`
    speaker_starts: NDArray[np.int64]  # [speakers + 1], into `by_speaker`
    borders: NDArray[np.int64]  # frames between the words of all items, n + 1 for n words
    border_starts: NDArray[np.int64]  # [items + 1], into `borders`; an item without word times has no border
    mixtures: "MixturePlaces"
    texts: pa.ChunkedArray | None  # written texts
    num_bytes: NDArray[np.int64]  # of each written text
    similar: NDArray[np.int32]  # [items, n] most similar items of the speaker, nearest first, then -1

    def __len__(self) -> int:
        return len(self.num_frames)

    def bytes_of(self, item: int) -> NDArray[np.int64]:
        """Return the UTF-8 bytes of the written text of one item."""
        assert self.texts is not None, "only items with texts have bytes"
        return np.frombuffer(self.texts[item].as_py().encode(), dtype=np.uint8).astype(np.int64)

    @property
    def mixture_kinds(self) -> NDArray[np.int64]:
        """Return the kind of the mixture of each item, a `MixtureKind`."""
        return self.mixtures.kinds

    def symbols_of(self, item: int) -> NDArray[np.int64]:
        """Return the symbol ids of one item."""
        return self.symbol_ids[self.symbol_starts[item] : self.symbol_starts[item + 1]]

    @property
    def num_symbols(self) -> NDArray[np.int64]:
        """Return the number of symbols of each item."""
        return np.diff(self.symbol_starts)


@dataclass(frozen=True, slots=True)
class MixturePlaces:
    """Kind and place of the mixture of each item, [items]; the kind of an item without one is 0."""

    kinds: NDArray[np.int64]
    files: tuple[str, ...]
    file: NDArray[np.int64]
    row_group: NDArray[np.int64]
    row: NDArray[np.int64]


def _byte_lengths(texts: pa.ChunkedArray) -> NDArray[np.int64]:
    lengths: NDArray[np.int64] = pc.binary_length(texts).to_numpy().astype(np.int64)
    return lengths


def _mixtures(table: pa.Table) -> MixturePlaces:
    count = table.num_rows
    if "mixture_kind" not in table.column_names or table["mixture_kind"].null_count == count:
        nothing = np.zeros(count, dtype=np.int64)
        return MixturePlaces(nothing, (), nothing, nothing, nothing)
    kinds = [MixtureKind[kind.upper()] if kind else MixtureKind.NONE for kind in table["mixture_kind"].to_pylist()]
    files, file = _coded(table["mixture_file"].combine_chunks().fill_null(""))
    numbers = [
        table[name].combine_chunks().fill_null(0).to_numpy().astype(np.int64)
        for name in ("mixture_row_group", "mixture_row")
    ]
    return MixturePlaces(np.array(kinds, dtype=np.int64), files, file, *numbers)


def _coded(column: pa.ChunkedArray) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return the distinct values in sorted order, and the index of each entry's value."""
    values = sorted(column.unique().to_pylist())
    return tuple(values), pc.index_in(column, pa.array(values)).to_numpy().astype(np.int64)


def _encoded(
    column: pa.ChunkedArray, encode: Callable[[Sequence[str]], list[int]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Concatenate the ids of all utterances; returns them and the start of each. Encodes each distinct symbol once."""
    begin, end = encode([])
    # A corpus has millions of symbols and a few hundred distinct ones.
    flat = column.combine_chunks().flatten().dictionary_encode()
    ids = np.array([encode([symbol])[1] for symbol in flat.dictionary.to_pylist()], dtype=np.int64)
    counts = pc.list_value_length(column).to_numpy().astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(counts + 2)])
    is_symbol = np.ones(starts[-1], dtype=bool)
    is_symbol[starts[:-1]] = is_symbol[starts[1:] - 1] = False
    encoded = np.full(starts[-1], begin, dtype=np.int64)
    encoded[starts[1:] - 1] = end
    encoded[is_symbol] = ids[flat.indices.to_numpy()]
    return encoded, starts


def _encoded_whole(
    column: pa.ChunkedArray, encode: Callable[[Sequence[str]], list[int]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Concatenate the ids of all utterances as `_encoded`, each encoded as a whole, since pieces join symbols."""
    rows = [encode(symbols) for symbols in column.to_pylist()]
    starts = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    return np.fromiter(chain.from_iterable(rows), np.int64, count=int(starts[-1])), starts


def _similar(table: pa.Table) -> NDArray[np.int32]:
    """Convert lists of segments to indices of items; segments outside the table are left out."""
    lists = table["similar"].combine_chunks() if "similar" in table.column_names else pa.nulls(table.num_rows)
    if lists.null_count == len(lists):
        return np.zeros((table.num_rows, 0), dtype=np.int32)
    owner = pc.list_parent_indices(lists).to_numpy()
    numbers = pc.index_in(pc.list_flatten(lists), table["segment_id"].combine_chunks())
    is_known = numbers.is_valid().to_numpy(zero_copy_only=False)
    owner, item = owner[is_known], numbers.drop_null().to_numpy()
    count = np.bincount(owner, minlength=table.num_rows)
    column = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    similar = np.full((table.num_rows, count.max(initial=0)), -1, dtype=np.int32)
    similar[owner, column] = item
    return similar


def _first_frames(table: pa.Table) -> NDArray[np.int64]:
    # Sets from before there were parts of segments have no such column.
    if "codes_start" not in table.column_names:
        return np.full(table.num_rows, -1, dtype=np.int64)
    return table["codes_start"].fill_null(-1).to_numpy().astype(np.int64)


def _borders(table: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Compute the borders between the words of each item, where it has word times, and the start of each item's."""
    if "word_times" not in table.column_names or table["word_times"].null_count == table.num_rows:
        return np.zeros(0, dtype=np.int64), np.zeros(table.num_rows + 1, dtype=np.int64)
    frames, seconds = table["num_frames"].to_numpy(), table["duration"].to_numpy()
    times = table["word_times"].to_pylist()
    found = [
        word_borders(np.array(one).reshape(-1, 2) * (count / duration), int(count)) if one else _NO_BORDERS
        for one, count, duration in zip(times, frames, seconds, strict=True)
    ]
    return np.concatenate(found), np.concatenate([[0], np.cumsum([len(one) for one in found])])


def load_items(
    table: pa.Table,
    encode: Callable[[Sequence[str]], list[int]],
    language_id: Callable[[str], int],
    *,
    joins_symbols: bool = False,
) -> Items:
    """Load items from a table with the columns of `TrainingItemRow`.

    `encode` maps phonemes to ids, symbol by symbol, between the ids of `<bos>` and `<eos>`; with `joins_symbols` an id
    may be that of several symbols. Raises TrainingError for
    an empty table.
    """
    if table.num_rows == 0:
        raise TrainingError(
            "The training set has no item in this split; widen the selection or change its split policy."
        )
    symbol_ids, symbol_starts = (_encoded_whole if joins_symbols else _encoded)(table["symbols"], encode)
    files, file = _coded(table["codes_file"])
    speakers, speaker = _coded(table["speaker"])
    # Stable, so that the order of a speaker's items, and with it every draw, is the same on every machine.
    by_speaker = np.argsort(speaker, kind="stable")
    languages, language = _coded(table["language"])
    borders, border_starts = _borders(table)
    has_texts = "text" in table.column_names
    return Items(
        ids=table["segment_id"],
        symbol_ids=symbol_ids,
        symbol_starts=symbol_starts,
        language_ids=np.array([language_id(name) for name in languages])[language],
        num_frames=table["num_frames"].to_numpy().astype(np.int64),
        weights=table["weight"].to_numpy().astype(np.float64),
        files=files,
        file=file,
        row_group=table["codes_row_group"].to_numpy().astype(np.int64),
        row=table["codes_row"].to_numpy().astype(np.int64),
        first_frame=_first_frames(table),
        speaker=speaker,
        by_speaker=by_speaker,
        rank=np.argsort(by_speaker),
        speaker_starts=np.concatenate([[0], np.cumsum(np.bincount(speaker, minlength=len(speakers)))]),
        borders=borders,
        border_starts=border_starts,
        mixtures=_mixtures(table),
        texts=table["text"] if has_texts else None,
        num_bytes=_byte_lengths(table["text"]) if has_texts else np.zeros(table.num_rows, dtype=np.int64),
        similar=_similar(table),
    )
