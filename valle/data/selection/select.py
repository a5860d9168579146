"""Selection of a training set: SQL on utterances and a split policy define a named, immutable set.

The set is pinned to the versions of the tables it was selected from, its items are committed to the lake, so that SQL
can trace a checkpoint to its sources, and Lhotse manifests of its cuts are written beside it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from valle.codec.base import CodecSpec
from valle.data.selection.chosen import choose, content_hash, registered
from valle.data.selection.cuts import export_cuts
from valle.data.selection.items_file import write_items
from valle.data.selection.options import Selection
from valle.data.selection.splits import SPLITS
from valle.data.selection.training_set import TrainingSet, TrainingSetCard, load_training_set, save_card
from warehouse.catalogue.spill import remove_spilled
from warehouse.catalogue.views import connect
from warehouse.errors import CommitConflict, LakeError, TrainingError
from warehouse.lake.store import Location
from warehouse.lake.tables import Lake, Snapshot
from warehouse.model_rows import TrainingItemRow

if TYPE_CHECKING:
    from valle.data_root import DataRoot


def select(
    selection: Selection, data_root: DataRoot, *, codec: CodecSpec, phoneme_symbols: tuple[str, ...]
) -> TrainingSet:
    """Make the training set, or return it when the same one exists already.

    `codec` must be the one of the current codes, `phoneme_symbols` the phoneme table in use. With the revision
    `GIVEN`, that of a machine without the weights, it is the codec's only revision among the selected codes.
    Raises TrainingError when the condition selects nothing, mixes codecs, puts what evaluations have used into train
    or dev, or the name holds another set.
    """
    directory = data_root.training_sets / selection.name
    # Pinned while it is read: a vacuum beside it must not remove what a compaction replaces meanwhile.
    spill = data_root.root
    remove_spilled(spill)
    with data_root.lake.pinned_snapshot() as snapshot, connect(snapshot, spill=spill) as connection:
        label = choose(connection, selection, data_root.lake, codec)
        codec = replace(codec, revision=label.removeprefix(f"{codec.name}@"))
        set_id = f"{selection.name}-{content_hash(connection)}"
        if (directory / "set.json").exists():
            return _same_or_raise(directory, set_id, selection)
        evaluation_items, example = registered(connection)
        if evaluation_items and not selection.allow_evaluation_items:
            raise TrainingError(_refusal(evaluation_items, example))
        card = _card(
            selection,
            set_id,
            connection,
            snapshot,
            codec=codec,
            phoneme_symbols=phoneme_symbols,
            evaluation_items=evaluation_items,
        )
        with _new_directory(directory, data_root.lake):
            # Pinned before anything refers to the files: a vacuum in between would remove them.
            data_root.lake.pin(selection.name, snapshot.versions)
            file = write_items(connection, snapshot, data_root.lake, set_id)
            with contextlib.suppress(CommitConflict):  # A killed run had come this far; equal content, equal name.
                data_root.lake.commit(TrainingItemRow, [file], f"training_set:{set_id}")
            items = data_root.lake.folder(TrainingItemRow.table) / file.name
            export_cuts(items, connection, lake=data_root.lake.root, directory=directory, codec=codec)
            lake = _lake_from(directory, data_root.lake.root)
            save_card(card, directory, lake=lake, items_file=f"{TrainingItemRow.table}/{file.name}")
    return load_training_set(directory)


@contextlib.contextmanager
def _new_directory(directory: Path, lake: Lake) -> Iterator[None]:
    """Make the directory of a set; where the body raises, remove it and its pin, which would keep old files."""
    directory.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if not (directory / "set.json").exists():  # Another process may have made the same set meanwhile.
            shutil.rmtree(directory, ignore_errors=True)
            with contextlib.suppress(OSError, LakeError):
                lake.unpin(directory.name)
        raise


def _lake_from(directory: Path, lake: Location) -> str:
    """Return the lake as a path relative to the set, so that both can be moved together, or as a URL."""
    return os.path.relpath(lake, directory) if isinstance(lake, Path) else str(lake)


def _refusal(count: int, example: str) -> str:
    return (
        f"{count:,} of the selected utterances were used by evaluations and would be trained on, such as "
        f'{example}; leave them out with --selection.where "segment_id NOT IN (SELECT segment_id FROM '
        'evaluated_segments)", keep them in test with --selection.split-policy.test-where "segment_id IN (...)", or '
        "train on them all the same with --selection.allow-evaluation-items."
    )


def _same_or_raise(directory: Path, set_id: str, selection: Selection) -> TrainingSet:
    existing = load_training_set(directory)
    if existing.card.id != set_id:
        raise TrainingError(
            f"The name {selection.name!r} already holds another set ({existing.card.id}); sets never change, "
            "choose another name."
        )
    return existing


def _card(
    selection: Selection,
    set_id: str,
    connection: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    *,
    codec: CodecSpec,
    phoneme_symbols: tuple[str, ...],
    evaluation_items: int,
) -> TrainingSetCard:
    counts = _by(connection, "split", "count(*)")
    seconds = _by(connection, "split", "fsum(duration)")
    return TrainingSetCard(
        id=set_id,
        name=selection.name,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        where=selection.where,
        weight=selection.weight,
        split_policy=selection.split_policy.model_dump_json(),
        codec=codec,
        phoneme_symbols=phoneme_symbols,
        table_versions=snapshot.versions,
        utterances={name: counts.get(name, 0) for name in SPLITS},
        hours={name: seconds.get(name, 0.0) / 3600 for name in SPLITS},
        licences={name: value / 3600 for name, value in _by(connection, "licence", "fsum(duration)").items()},
        evaluation_items=evaluation_items,
        used_symbols=_used_symbols(connection),
    )


def _used_symbols(connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """Return the distinct phonemes of the train split, sorted."""
    query = "SELECT DISTINCT unnest(symbols) AS symbol FROM assigned WHERE split = 'train' ORDER BY symbol"
    return tuple(symbol for (symbol,) in connection.execute(query).fetchall())


def _by(connection: duckdb.DuckDBPyConnection, column: str, expression: str) -> dict[str, Any]:
    """Return the value of an expression for each value of a column of `assigned`, in their order."""
    query = f"SELECT {column}, {expression} FROM assigned GROUP BY 1 ORDER BY 1"
    return dict(connection.execute(query).fetchall())
