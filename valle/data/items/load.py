"""Load the items of a split: row group after row group, so that no column of strings is whole in memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from valle.data.items.items import Items, MixturePlaces
from valle.data.items.mapped import map_numbers, map_table
from valle.tasks.base import MixtureKind
from valle.tasks.words import word_borders
from warehouse.errors import TrainingError

ReadTables = Callable[[Sequence[str]], Iterable[pa.Table]]
"""Read columns of the items of a split, those that its set has: tables of some thousand rows."""
Encode = Callable[[Sequence[str]], list[int]]
_NO_BORDERS = np.zeros(0, dtype=np.int64)
_MIXTURE_KINDS = pa.array([kind.name.lower() for kind in MixtureKind])


def load_items(
    table: pa.Table, encode: Encode, language_id: Callable[[str], int], *, joins_symbols: bool = False
) -> Items:
    """Load items from a table with the columns of `TrainingItemRow`; see `read_items`."""
    names = set(table.column_names)
    return read_items(
        lambda columns: [table.select([name for name in columns if name in names])],
        encode,
        language_id,
        joins_symbols=joins_symbols,
    )


def read_items(
    read: ReadTables,
    encode: Encode,
    language_id: Callable[[str], int],
    *,
    joins_symbols: bool = False,
    folder: Path | None = None,
) -> Items:
    """Read the items of a split, column after column; with a `folder` the long columns are in mapped files of it.

    `encode` maps phonemes to ids, symbol by symbol, between the ids of `<bos>` and `<eos>`; with `joins_symbols` an id
    may be that of several symbols. Raises TrainingError for an empty split.
    """
    texts = map_table(read(("segment_id", "text")), folder)
    if texts.num_rows == 0:
        raise TrainingError(
            "The training set has no item in this split; widen the selection or change its split policy."
        )
    symbol_ids, symbol_starts = _symbols(read, encode, folder, joins_symbols=joins_symbols)
    files, file = _coded(read, "codes_file")
    speakers, speaker = _coded(read, "speaker")
    languages, language = _coded(read, "language")
    # Stable, so that the order of a speaker's items, and with it every draw, is the same on every machine.
    by_speaker = np.argsort(speaker, kind="stable").astype(np.int32)
    borders, border_starts = _borders(read, folder)
    has_texts = "text" in texts.column_names
    return Items(
        ids=texts["segment_id"],
        symbol_ids=symbol_ids,
        symbol_starts=symbol_starts,
        language_ids=np.array([language_id(name) for name in languages.to_pylist()])[language],
        num_frames=_numbers(read, "num_frames"),
        weights=_numbers(read, "weight").astype(np.float32, copy=False),
        files=tuple(files.to_pylist()),
        file=file,
        row_group=_numbers(read, "codes_row_group"),
        row=_numbers(read, "codes_row"),
        first_frame=_first_frames(read, len(file)),
        speaker=speaker,
        by_speaker=by_speaker,
        rank=_inverse(by_speaker),
        speaker_starts=np.concatenate([[0], np.cumsum(np.bincount(speaker, minlength=len(speakers)))]),
        borders=borders,
        border_starts=border_starts,
        mixtures=_mixtures(read, len(file)),
        texts=texts["text"] if has_texts else None,
        num_bytes=_byte_lengths(texts["text"]) if has_texts else np.zeros(len(file), dtype=np.int32),
        similar=_similar(read, texts["segment_id"]),
    )


def _columns(read: ReadTables, name: str) -> Iterator[pa.Array]:
    """Yield one column; nothing where the set does not have it."""
    for table in read((name,)):
        if name in table.column_names:
            yield from table[name].chunks


def _numbers(read: ReadTables, name: str) -> NDArray[np.int32]:
    return np.concatenate([chunk.to_numpy() for chunk in _columns(read, name)])


def _inverse(order: NDArray[np.int32]) -> NDArray[np.int32]:
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank


def _byte_lengths(texts: pa.ChunkedArray) -> NDArray[np.int32]:
    return np.concatenate([pc.binary_length(chunk).to_numpy().astype(np.int32) for chunk in texts.chunks])


def _coded(read: ReadTables, name: str) -> tuple[pa.Array, NDArray[np.int32]]:
    """Return the distinct values in sorted order, and the index of each entry's value."""
    chunks = [chunk.dictionary_encode() for chunk in _columns(read, name)]
    coded = pa.chunked_array(chunks).unify_dictionaries()
    values = coded.chunk(0).dictionary
    order = pc.sort_indices(values)
    rank = _inverse(order.to_numpy().astype(np.int32))
    return values.take(order), np.concatenate([rank[chunk.indices.to_numpy()] for chunk in coded.chunks])


def _symbols(
    read: ReadTables, encode: Encode, folder: Path | None, *, joins_symbols: bool
) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    """Concatenate the ids of all utterances; returns them and the start of each."""
    lengths: list[NDArray[np.int64]] = [np.zeros(1, dtype=np.int64)]

    def pieces() -> Iterator[NDArray[np.uint16]]:
        for chunk in _columns(read, "symbols"):
            ids, counts = (_encoded_whole if joins_symbols else _encoded)(chunk, encode)
            lengths.append(counts)
            yield ids.astype(np.uint16)

    symbol_ids = map_numbers(pieces(), np.uint16, folder)
    return symbol_ids, np.cumsum(np.concatenate(lengths))


def _encoded(column: pa.ListArray, encode: Encode) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the ids of utterances, and the number of each. Encodes each distinct symbol once."""
    begin, end = encode([])
    # A corpus has millions of symbols and a few hundred distinct ones.
    flat = column.flatten().dictionary_encode()
    ids = np.array([encode([symbol])[1] for symbol in flat.dictionary.to_pylist()], dtype=np.int64)
    counts = pc.list_value_length(column).to_numpy().astype(np.int64) + 2
    starts = np.concatenate([[0], np.cumsum(counts)])
    is_symbol = np.ones(starts[-1], dtype=bool)
    is_symbol[starts[:-1]] = is_symbol[starts[1:] - 1] = False
    encoded = np.full(starts[-1], begin, dtype=np.int64)
    encoded[starts[1:] - 1] = end
    encoded[is_symbol] = ids[flat.indices.to_numpy()]
    return encoded, counts


def _encoded_whole(column: pa.ListArray, encode: Encode) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the ids of utterances as `_encoded`, each encoded as a whole, since pieces join symbols."""
    rows = [encode(symbols) for symbols in column.to_pylist()]
    counts = np.array([len(row) for row in rows], dtype=np.int64)
    return np.fromiter(chain.from_iterable(rows), np.int64, count=int(counts.sum())), counts


def _first_frames(read: ReadTables, count: int) -> NDArray[np.int32]:
    # Sets from before there were parts of segments have no such column.
    found = [chunk.fill_null(-1).to_numpy() for chunk in _columns(read, "codes_start")]
    return np.concatenate(found) if found else _constant(-1, count)


def _constant(value: int, count: int) -> NDArray[np.int32]:
    """Return an array that has one number in memory."""
    return np.broadcast_to(np.int32(value), count)


def _borders(read: ReadTables, folder: Path | None) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Compute the borders between the words of each item, where it has word times, and the start of each item's."""
    counts: list[NDArray[np.int64]] = [np.zeros(1, dtype=np.int64)]

    def pieces() -> Iterator[NDArray[np.int32]]:
        for table in read(("num_frames", "duration", "word_times")):
            found = _borders_of(table)
            counts.append(np.fromiter(map(len, found), np.int64, count=table.num_rows))
            yield np.concatenate([_NO_BORDERS, *found]).astype(np.int32)

    borders = map_numbers(pieces(), np.int32, folder)
    return borders, np.cumsum(np.concatenate(counts))


def _borders_of(table: pa.Table) -> list[NDArray[np.int64]]:
    if "word_times" not in table.column_names or table["word_times"].null_count == table.num_rows:
        return [_NO_BORDERS] * table.num_rows
    columns = (table[name].to_pylist() for name in ("word_times", "num_frames", "duration"))
    return [
        word_borders(np.array(times).reshape(-1, 2) * (count / duration), count) if times else _NO_BORDERS
        for times, count, duration in zip(*columns, strict=True)
    ]


def _mixtures(read: ReadTables, count: int) -> MixturePlaces:
    named = (chunk.cast(pa.string()).fill_null("none") for chunk in _columns(read, "mixture_kind"))
    kinds = [pc.index_in(chunk, _MIXTURE_KINDS).to_numpy() for chunk in named]
    if not any(chunk.any() for chunk in kinds):
        nothing = _constant(0, count)
        return MixturePlaces(nothing.astype(np.int8), (), nothing, nothing, nothing)
    files, file = _coded(lambda names: (_without_nulls(table) for table in read(names)), "mixture_file")
    numbers = [
        np.concatenate([chunk.fill_null(0).to_numpy() for chunk in _columns(read, name)])
        for name in ("mixture_row_group", "mixture_row")
    ]
    return MixturePlaces(np.concatenate(kinds).astype(np.int8), tuple(files.to_pylist()), file, *numbers)


def _without_nulls(table: pa.Table) -> pa.Table:
    return pa.table({name: table[name].fill_null("") for name in table.column_names})


def _similar(read: ReadTables, ids: pa.ChunkedArray) -> NDArray[np.int32]:
    """Convert lists of segments to indices of items [items, n]; segments outside the split are left out."""
    # A hash of 64 bits in place of each id: sorted they are a fifth of an index of strings. Two ids of ten million
    # have the same once in 100,000 sets, and then a prompt is of another speaker.
    hashes: list[NDArray[np.uint64]] = []
    rows: list[NDArray[np.int32]] = []
    with duckdb.connect() as connection:
        for lists in _columns(read, "similar"):
            if not hashes and lists.null_count < len(lists):
                hashes = [_hashes(connection, chunk) for chunk in ids.chunks]
                ordered = np.concatenate(hashes)
                order = np.argsort(ordered).astype(np.int32)
                ordered = ordered[order]
            if not hashes:
                rows.append(np.full((len(lists), 0), -1, dtype=np.int32))
                continue
            wanted = _hashes(connection, lists.flatten())
            place = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
            item = np.where(ordered[place] == wanted, order[place], -1)
            rows.append(_table_of(item, pc.list_parent_indices(lists).to_numpy(), len(lists)))
    if not rows:
        return np.zeros((len(ids), 0), dtype=np.int32)
    width = max(found.shape[1] for found in rows)
    return np.concatenate([np.pad(one, ((0, 0), (0, width - one.shape[1])), constant_values=-1) for one in rows])


def _table_of(item: NDArray[np.int32], owner: NDArray[np.int64], count: int) -> NDArray[np.int32]:
    """Return the items of each owner [count, n], filled up with -1; items of -1 are left out."""
    owner, item = owner[item >= 0], item[item >= 0]
    counts = np.bincount(owner, minlength=count)
    column = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    found = np.full((count, counts.max(initial=0)), -1, dtype=np.int32)
    found[owner, column] = item
    return found


def _hashes(connection: duckdb.DuckDBPyConnection, strings: pa.Array) -> NDArray[np.uint64]:
    connection.register("strings", pa.table({"text": strings}))
    found: NDArray[np.uint64] = connection.execute("SELECT hash(text) AS hash FROM strings").fetchnumpy()["hash"]
    connection.unregister("strings")
    return found
