"""The chosen utterances of a selection as tables of a connection: what does not fit into memory is on the disk.

`chosen` has a row per utterance; split, similar utterances, word times and mixture are in tables of their own, and
`whole` joins them: its rows are what training uses of the utterances, and their hash is the id of the set.
"""

import hashlib
from collections.abc import Sequence
from itertools import pairwise

import duckdb
import pyarrow as pa

from valle.codec.base import GIVEN, CodecSpec
from valle.data.selection.curated import Placed, curate, declared_splits, place_cuts
from valle.data.selection.cut_list import read_cut_list
from valle.data.selection.options import Selection
from valle.data.selection.similar import find_similar
from valle.data.selection.splits import assign_splits
from valle.phonemes import open_phonemizer
from warehouse.catalogue.views import check_expression, keep_select, run_query
from warehouse.errors import TrainingError
from warehouse.lake.tables import Lake

_HASHED_AT_ONCE = 100_000
_ROWS_AT_ONCE = 1_000_000
# Borders that divide ids, which begin with a hash, about equally.
_RANGES = ("", *"123456789abcdef", None)
_MIXTURE = ("mixture_kind", "mixture_licence", "mixture_fingerprint")


def choose(connection: duckdb.DuckDBPyConnection, selection: Selection, lake: Lake, codec: CodecSpec) -> str:
    """Make the view `whole` of the utterances with codes of the codec, or of the cuts; return the label of the codec.

    The connection then reads only the lake. Raises TrainingError when nothing is chosen.
    """
    placed = _placed_cuts(selection, connection)
    keep_select(connection, "chosen", _chosen_sql(selection, has_cuts=bool(placed)), lake=lake)
    if not _has_rows(connection, "chosen"):
        raise TrainingError(f"No utterance matches {selection.where!r}; see what there is with `valle stats`.")
    label = _keep_codec(connection, codec)
    if placed:
        _keep_cuts(connection, placed, codec)
    _assign_splits(connection, placed, selection)
    find_similar(connection)
    _keep_word_times(connection)
    _keep_mixtures(connection, label)
    _define_whole(connection)
    return label


def content_hash(connection: duckdb.DuckDBPyConnection, *, rows_at_once: int = _ROWS_AT_ONCE) -> str:
    """Hash everything that training uses of the utterances to ten hexadecimal digits.

    More than `rows_at_once` rows are joined and sorted in ranges of their ids, one after the other, since together they
    do not fit into memory. The hash is the same.
    """
    found = hashlib.md5(usedforsecurity=False)
    counted = connection.execute("SELECT count(*) FROM chosen").fetchone()
    assert counted is not None
    for start, end in pairwise(_RANGES if counted[0] > rows_at_once else ("", None)):
        is_before = "true" if end is None else f"segment_id < '{end}'"
        reader = connection.execute(
            "SELECT md5(c::VARCHAR) AS hash FROM "
            f"(SELECT * FROM whole WHERE segment_id >= '{start}' AND {is_before}) c ORDER BY segment_id"
        ).to_arrow_reader(_HASHED_AT_ONCE)
        for batch in reader:
            found.update("".join(batch["hash"].to_pylist()).encode())
    return found.hexdigest()[:10]


def registered(connection: duckdb.DuckDBPyConnection) -> tuple[int, str]:
    """Count the segments of train and dev that share audio with an evaluation item, and return the first of them."""
    if not _has_rows(connection, "evaluation_items"):
        return 0, ""
    found = connection.execute(
        "SELECT count(*), coalesce(min(segment_id), '') FROM assigned "
        "SEMI JOIN evaluated_segments USING (segment_id) WHERE split <> 'test'"
    ).fetchone()
    assert found is not None
    return found


def _chosen_sql(selection: Selection, *, has_cuts: bool) -> str:
    weight = check_expression(selection.weight, option="weight")
    where = check_expression(selection.where, option="where")
    test_where = check_expression(selection.split_policy.test_where, option="split_policy.test_where")
    # Cuts are curated one by one, so a list of them may name what a review refuses.
    reviewed = "true" if selection.allow_bad or has_cuts else "verdict IS DISTINCT FROM 'bad'"
    return f"""
        SELECT segment_id, recording_id, corpus, coalesce(speaker, corpus || ':' || recording_id) AS speaker,
               coalesce(corpus || ':' || book, recording_id) AS source, coalesce(language, 'und') AS language, licence,
               ({weight})::FLOAT AS weight, duration, text, symbols, num_frames, codec, codes_fingerprint,
               coalesce(({test_where})::BOOLEAN, false) AS in_test
        FROM coded_utterances WHERE origin <> 'generated' AND {reviewed} AND ({where})
        """


def _has_rows(connection: duckdb.DuckDBPyConnection, table: str) -> bool:
    return run_query(connection, f"SELECT 1 FROM {table} LIMIT 1").num_rows > 0


def _placed_cuts(selection: Selection, connection: duckdb.DuckDBPyConnection) -> list[Placed]:
    """Find the segments of the cuts of a selection, before the connection is locked; empty without cuts."""
    if not selection.cuts:
        return []
    if selection.where != Selection.model_fields["where"].default:
        raise TrainingError("Give either a condition (`where`) or `cuts`; filter the cuts with Lhotse.")
    return place_cuts(read_cut_list(selection.cuts), connection)


def _keep_codec(connection: duckdb.DuckDBPyConnection, codec: CodecSpec) -> str:
    """Keep the rows of one codec and return its label.

    Raises TrainingError, which names the codecs there are, when none is left.
    """
    found = run_query(connection, "SELECT DISTINCT codec FROM chosen ORDER BY codec")["codec"].to_pylist()
    label = codec.label
    if codec.revision == GIVEN:
        stored = [one for one in found if one.startswith(f"{codec.name}@")]
        label = stored[0] if len(stored) == 1 else label
    if label not in found:
        raise TrainingError(
            f"The selected codes were made by {', '.join(found)}, not by {codec.label}: select with `--codec`, or run "
            f"`valle data quantize --options.codec {codec.name}`."
        )
    if found != [label]:
        connection.execute("DELETE FROM chosen WHERE codec <> $label", {"label": label})
    return label


def _keep_cuts(connection: duckdb.DuckDBPyConnection, placed: Sequence[Placed], codec: CodecSpec) -> None:
    """Replace `chosen` by the cuts, with what they declare of their spans, texts, weights and test marks."""
    segments = pa.table({"segment_id": pa.array([found.segment_id for found in placed])})
    connection.register("cut_segments", segments)
    utterances = run_query(
        connection, "SELECT * FROM chosen SEMI JOIN cut_segments USING (segment_id) ORDER BY segment_id"
    )
    table = curate(utterances, placed, frame_rate=codec.frame_rate, phonemize=open_phonemizer("espeak").phonemize)
    connection.register("curated", table)
    connection.execute("CREATE OR REPLACE TABLE chosen AS FROM curated")
    for name in ("cut_segments", "curated"):
        connection.unregister(name)


def _assign_splits(connection: duckdb.DuckDBPyConnection, placed: Sequence[Placed], selection: Selection) -> None:
    """Make the table `speaker_splits`, from what the cuts declare or else by the policy."""
    speakers = run_query(connection, "SELECT speaker FROM chosen ORDER BY segment_id") if placed else None
    names = [] if speakers is None else speakers["speaker"].to_pylist()
    declared = declared_splits(placed, names)
    if declared is None:
        assign_splits(connection, selection.split_policy)
        return
    # No speaker is in two splits.
    connection.register("declared", pa.table({"speaker": names, "split": declared}))
    connection.execute("CREATE TABLE speaker_splits AS SELECT DISTINCT speaker, split FROM declared")
    connection.unregister("declared")


def _keep_word_times(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the table `word_times` of the utterances whose words have been aligned."""
    # The words of a part are not those of its segment.
    whole = "WHERE codes_start IS NULL" if _has_parts(connection) else ""
    run_query(
        connection,
        f"""
        CREATE TABLE word_times AS
        SELECT segment_id, flatten(list_transform(words, lambda w: [w."start", w."end"]))::FLOAT[] AS word_times
        FROM current_alignments SEMI JOIN (FROM chosen {whole}) USING (segment_id) WHERE drop_reason IS NULL
        """,
    )


def _keep_mixtures(connection: duckdb.DuckDBPyConnection, label: str) -> None:
    """Make the table `chosen_mixtures`: kind, licence and fingerprint of the mixtures with the codec.

    `mix` draws second speakers before there are splits, so those of train or dev with a speaker of the test split are
    left out.
    """
    run_query(
        connection,
        "CREATE TABLE chosen_mixtures "
        "(segment_id VARCHAR, mixture_kind VARCHAR, mixture_licence VARCHAR, mixture_fingerprint VARCHAR)",
    )
    run_query(
        connection,
        """
        INSERT INTO chosen_mixtures
        WITH held AS (SELECT segment_id FROM chosen JOIN speaker_splits USING (speaker) WHERE split = 'test')
        SELECT m.segment_id, kind, interferer_licence, fingerprint
        FROM (FROM current_mixtures SEMI JOIN chosen USING (segment_id) WHERE drop_reason IS NULL AND codec = ?) m
        LEFT JOIN held own ON own.segment_id = m.segment_id LEFT JOIN held second ON second.segment_id = m.interferer
        WHERE second.segment_id IS NULL OR own.segment_id IS NOT NULL
        """,
        [label],
    )


def _has_parts(connection: duckdb.DuckDBPyConnection) -> bool:
    columns = run_query(connection, "SELECT column_name FROM (DESCRIBE chosen)")["column_name"].to_pylist()
    return "codes_start" in columns


def _define_whole(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the views `assigned` of the chosen with their split, and `whole` with everything.

    Without any word times or mixtures it lacks their columns: the content of a set, and with it its id, is what it was
    before sets had them.
    """
    optional = (("word_times", ("word_times",)), ("chosen_mixtures", _MIXTURE))
    added = [(table, names) for table, names in optional if _has_rows(connection, table)]
    connection.execute("CREATE VIEW assigned AS FROM chosen JOIN speaker_splits USING (speaker)")
    columns = ["c.*", '"similar"', *(f'"{name}"' for _, names in added for name in names)]
    joins = " ".join(f"LEFT JOIN {table} USING (segment_id)" for table in ("similar_segments", *dict(added)))
    connection.execute(f"CREATE VIEW whole AS SELECT {', '.join(columns)} FROM assigned c {joins}")
