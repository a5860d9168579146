"""Selection of a training set: SQL on utterances and a split policy define a named, immutable set.

The set is pinned to the versions of the tables it was selected from, its items are committed to the lake, so that SQL
can trace a checkpoint to its sources, and Lhotse manifests of its cuts are written beside it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from valle.codec.base import GIVEN, CodecSpec
from valle.data.selection.curated import Placed, curate, declared_splits, place_cuts
from valle.data.selection.cut_list import read_cut_list
from valle.data.selection.options import Selection
from valle.data.selection.similar import similar_segments
from valle.data.selection.splits import assign_splits
from valle.data.selection.training_set import SPLITS, TrainingSet, TrainingSetCard, load_training_set, save_card
from valle.phonemes import open_phonemizer
from warehouse.catalogue.views import check_expression, connect, run_query, run_select
from warehouse.errors import CommitConflict, LakeError, TrainingError
from warehouse.fingerprints import short_hash
from warehouse.lake.arrow import schema_of
from warehouse.lake.data_files import write_table
from warehouse.lake.store import Location, open_parquet, relative_name
from warehouse.lake.tables import Lake, Snapshot
from warehouse.model_rows import TrainingItemRow

if TYPE_CHECKING:
    from valle.data_root import DataRoot

_NO_PLACES = pa.schema(
    [
        ("segment_id", pa.string()),
        ("fingerprint", pa.string()),
        ("file", pa.string()),
        ("row_group", pa.int64()),
        ("row", pa.int64()),
    ]
)


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
    with data_root.lake.pinned_snapshot() as snapshot, connect(snapshot) as connection:
        chosen = _chosen(connection, selection, data_root.lake, codec)
        codec = replace(codec, revision=chosen["codec"][0].as_py().removeprefix(f"{codec.name}@"))
        chosen = _with_word_times(_with_similar(chosen, connection), connection)
        chosen = _with_mixtures(chosen, connection, codec)
        set_id = f"{selection.name}-{_content_hash(chosen)}"
        if (directory / "set.json").exists():
            return _same_or_raise(directory, set_id, selection)
        registered = _registered(chosen, connection)
        if registered and not selection.allow_evaluation_items:
            raise TrainingError(_refusal(registered))
        places = {table: _locations(connection, snapshot, data_root, table) for table in ("codes", "mixtures")}
        items = _items(chosen, places["codes"], places["mixtures"], set_id)
        card = _card(
            selection,
            set_id,
            items,
            snapshot,
            codec=codec,
            phoneme_symbols=phoneme_symbols,
            evaluation_items=len(registered),
        )
        with _new_directory(directory, data_root.lake):
            # Pinned before anything refers to the files: a vacuum in between would remove them.
            data_root.lake.pin(selection.name, snapshot.versions)
            file = write_table(data_root.lake.folder(TrainingItemRow.table), TrainingItemRow, items)
            with contextlib.suppress(CommitConflict):  # A killed run had come this far; equal content, equal name.
                data_root.lake.commit(TrainingItemRow, [file], f"training_set:{set_id}")
            from valle.data.selection.cuts import (
                export_cuts,  # Lhotse takes seconds, and who only reads a Selection needs none of it
            )

            in_test = chosen["segment_id"].filter(chosen["in_test"])
            export_cuts(items, connection, lake=data_root.lake.root, directory=directory, codec=codec, in_test=in_test)
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


def _chosen(connection: duckdb.DuckDBPyConnection, selection: Selection, lake: Lake, codec: CodecSpec) -> pa.Table:
    """Select utterances with codes of the codec, or those of the cuts, and assign their splits, ordered by id."""
    placed = _placed_cuts(selection, connection)
    weight = check_expression(selection.weight, option="weight")
    where = check_expression(selection.where, option="where")
    test_where = check_expression(selection.split_policy.test_where, option="split_policy.test_where")
    # Cuts are curated one by one, so a list of them may name what a review refuses.
    reviewed = "true" if selection.allow_bad or placed else "verdict IS DISTINCT FROM 'bad'"
    table = run_select(
        connection,
        f"""
        SELECT segment_id, recording_id, corpus, coalesce(speaker, corpus || ':' || recording_id) AS speaker,
               coalesce(corpus || ':' || book, recording_id) AS source, coalesce(language, 'und') AS language, licence,
               ({weight})::FLOAT AS weight, duration, text, symbols, num_frames, codec, codes_fingerprint,
               coalesce(({test_where})::BOOLEAN, false) AS in_test
        FROM coded_utterances WHERE origin <> 'generated' AND {reviewed} AND ({where}) ORDER BY segment_id
        """,
        lake=lake,
    )
    if table.num_rows == 0:
        raise TrainingError(f"No utterance matches {selection.where!r}; see what there is with `valle stats`.")
    table = _coded_by(table, codec)
    if placed:
        phonemizer = open_phonemizer("espeak")
        table = curate(table, placed, frame_rate=codec.frame_rate, phonemize=phonemizer.phonemize)
    splits = declared_splits(placed, table["speaker"].to_pylist()) or assign_splits(
        table["speaker"].to_pylist(),
        table["source"].to_pylist(),
        table["duration"].to_pylist(),
        table["in_test"].to_pylist(),
        selection.split_policy,
    )
    return table.append_column("split", pa.array(splits, pa.string()))


def _placed_cuts(selection: Selection, connection: duckdb.DuckDBPyConnection) -> list[Placed]:
    """Find the segments of the cuts of a selection, before the connection is locked; empty without cuts."""
    if not selection.cuts:
        return []
    if selection.where != Selection.model_fields["where"].default:
        raise TrainingError("Give either a condition (`where`) or `cuts`; filter the cuts with Lhotse.")
    return place_cuts(read_cut_list(selection.cuts), connection)


def _with_similar(chosen: pa.Table, connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Add the most similar utterances of the speaker to each; null where they are unknown."""
    similar = similar_segments(connection, chosen)
    positions = pc.index_in(chosen["segment_id"], similar["segment_id"])
    return chosen.append_column("similar", similar["similar"].take(positions))


def _with_word_times(chosen: pa.Table, connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Add the times of the words of each utterance where any has been aligned."""
    times = run_query(
        connection,
        """
        SELECT segment_id, flatten(list_transform(words, lambda w: [w."start", w."end"]))::FLOAT[] AS word_times
        FROM current_alignments WHERE drop_reason IS NULL
        """,
    )
    positions = pc.index_in(chosen["segment_id"], times["segment_id"])
    if "codes_start" in chosen.column_names:  # The words of a part are not those of its segment.
        positions = pc.if_else(pc.is_null(chosen["codes_start"]), positions, pa.scalar(None, positions.type))
    # Without any, the content of a set and with it its id are what they were before words had times.
    if positions.null_count == len(positions):
        return chosen
    return chosen.append_column("word_times", times["word_times"].take(positions))


def _with_mixtures(chosen: pa.Table, connection: duckdb.DuckDBPyConnection, codec: CodecSpec) -> pa.Table:
    """Add kind, licence and fingerprint of the mixture of each utterance where any has been mixed with this codec."""
    mixtures = run_query(
        connection,
        """
        SELECT segment_id, kind AS mixture_kind, interferer_licence AS mixture_licence,
               fingerprint AS mixture_fingerprint
        FROM current_mixtures WHERE drop_reason IS NULL AND codec = ?
        """,
        [codec.label],
    )
    positions = pc.index_in(chosen["segment_id"], mixtures["segment_id"])
    if positions.null_count == len(positions):
        return chosen
    for name in mixtures.column_names[1:]:
        chosen = chosen.append_column(name, mixtures[name].take(positions))
    return chosen


def _registered(chosen: pa.Table, connection: duckdb.DuckDBPyConnection) -> list[str]:
    """List the segments of train and dev that share audio with an evaluation item (`evaluated_segments`)."""
    if run_query(connection, "SELECT 1 FROM evaluation_items LIMIT 1").num_rows == 0:
        return []
    known = set(run_query(connection, "SELECT DISTINCT segment_id FROM evaluated_segments")["segment_id"].to_pylist())
    columns = (chosen[name].to_pylist() for name in ("segment_id", "split"))
    return [segment for segment, split in zip(*columns, strict=True) if split != "test" and segment in known]


def _refusal(registered: list[str]) -> str:
    return (
        f"{len(registered):,} of the selected utterances were used by evaluations and would be trained on, such as "
        f'{registered[0]}; leave them out with --selection.where "segment_id NOT IN (SELECT segment_id FROM '
        'evaluated_segments)", keep them in test with --selection.split-policy.test-where "segment_id IN (...)", or '
        "train on them all the same with --selection.allow-evaluation-items."
    )


def _coded_by(chosen: pa.Table, codec: CodecSpec) -> pa.Table:
    """Keep the rows of one codec. Raises TrainingError, which names the codecs there are, when none is left."""
    labels = [codec.label]
    if codec.revision == GIVEN:
        stored = [label for label in pc.unique(chosen["codec"]).to_pylist() if label.startswith(f"{codec.name}@")]
        labels = stored if len(stored) == 1 else labels
    kept = chosen.filter(pc.is_in(chosen["codec"], pa.array(labels)))
    if kept.num_rows == 0:
        used = ", ".join(sorted(pc.unique(chosen["codec"]).to_pylist()))
        raise TrainingError(
            f"The selected codes were made by {used}, not by {codec.label}: select with `--codec`, or run `valle data "
            f"quantize --options.codec {codec.name}`."
        )
    return kept


def _locations(connection: duckdb.DuckDBPyConnection, snapshot: Snapshot, data_root: DataRoot, table: str) -> pa.Table:
    """Locate the rows of a table of codes: segment, fingerprint, data file, row group and row."""
    files = snapshot.data_files.get(table, ())
    if not files:
        return _NO_PLACES.empty_table()
    connection.register("code_groups", _row_groups(files, data_root.lake.root))
    listed = ", ".join("'" + re.sub("'", "''", str(path)) + "'" for path in files)
    return run_query(
        connection,
        f"""
        SELECT k.segment_id, k.fingerprint, g.file, g.row_group, (k.file_row_number - g.first_row) AS "row"
        FROM read_parquet([{listed}], filename = true, file_row_number = true, hive_partitioning = false) k
        JOIN code_groups g
        ON g.path = k.filename AND k.file_row_number >= g.first_row AND k.file_row_number < g.first_row + g."rows"
        """,
    )


def _row_groups(files: Sequence[Location], lake: Location) -> pa.Table:
    rows = []
    for path in files:
        with open_parquet(path) as opened:
            metadata = opened.metadata
        first = 0
        for group in range(metadata.num_row_groups):
            count = metadata.row_group(group).num_rows
            relative = relative_name(path, lake)
            rows.append({"path": str(path), "file": relative, "row_group": group, "first_row": first, "rows": count})
            first += count
    return pa.Table.from_pylist(rows)


def _items(chosen: pa.Table, codes: pa.Table, mixtures: pa.Table, set_id: str) -> pa.Table:
    """Build the rows of `training_items`, in the order of the segment ids."""
    schema = schema_of(TrainingItemRow)
    for name in ("word_times", "codes_start", "mixture_kind", "mixture_licence", "mixture_fingerprint"):
        if name not in chosen.column_names:
            kind = schema.field(name).type if name in schema.names else pa.string()
            chosen = chosen.append_column(name, pa.nulls(chosen.num_rows, kind))
    with duckdb.connect() as connection:
        connection.register("chosen", chosen)
        connection.register("code_places", codes)
        connection.register("mixture_places", mixtures)
        items = connection.execute(
            """
            SELECT ? AS training_set, c.*, k.file AS codes_file, k.row_group AS codes_row_group, k."row" AS codes_row,
                   m.file AS mixture_file, m.row_group AS mixture_row_group, m."row" AS mixture_row
            FROM chosen c
            JOIN code_places k ON k.segment_id = c.segment_id AND k.fingerprint = c.codes_fingerprint
            LEFT JOIN mixture_places m ON m.segment_id = c.segment_id AND m.fingerprint = c.mixture_fingerprint
            ORDER BY c.segment_id
            """,
            [set_id],
        ).to_arrow_table()
    if items.num_rows != chosen.num_rows:
        raise TrainingError(f"{chosen.num_rows} utterances have {items.num_rows} rows of codes; run `valle lake fsck`.")
    return items.select(schema.names).cast(schema)


def _content_hash(chosen: pa.Table) -> str:
    """Hash everything that training uses of the utterances to ten hexadecimal digits."""
    with duckdb.connect() as connection:
        connection.register("chosen", chosen)
        rows = connection.execute("SELECT string_agg(md5(c::VARCHAR), '' ORDER BY segment_id) FROM chosen c").fetchone()
    assert rows is not None
    return short_hash(rows[0])[:10]


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
    items: pa.Table,
    snapshot: Snapshot,
    *,
    codec: CodecSpec,
    phoneme_symbols: tuple[str, ...],
    evaluation_items: int,
) -> TrainingSetCard:
    split, durations = items["split"], items["duration"]
    seconds = {name: pc.sum(durations.filter(pc.equal(split, name))).as_py() or 0.0 for name in SPLITS}
    licences = {
        name: pc.sum(durations.filter(pc.equal(items["licence"], name))).as_py() / 3600
        for name in sorted(pc.unique(items["licence"]).to_pylist())
    }
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
        utterances={name: pc.sum(pc.equal(split, name)).as_py() for name in SPLITS},
        hours={name: value / 3600 for name, value in seconds.items()},
        licences=licences,
        evaluation_items=evaluation_items,
    )
