"""Planning: what is missing is planned, what exists is not, and only what a change touches comes back."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.warehouse.rows_for_tests import NOW, codes, configuration, recording, segment, transcript
from warehouse.catalogue.planning import (
    ShardPlan,
    StagePlan,
    StageTables,
    missing_inputs,
    plan_stage,
    set_hypothetical_configurations,
)
from warehouse.catalogue.views import connect
from warehouse.fingerprints import chain
from warehouse.lake.tables import Lake, Snapshot
from warehouse.rows import CodesRow, ConfigurationRow, RecordingRow, SegmentRow, Span, TranscriptRow

QUANTIZE = StageTables(reads="segments", writes="codes", key="segment_id")
PHONEMIZE = StageTables(reads="transcripts", writes="phonemes", key="segment_id")
SEGMENT = StageTables(reads="recordings", writes="segments", key="recording_id")


def _lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path)
    recordings = [recording("r1"), recording("r2", shard="c-2"), recording("bad", drop_reason="empty")]
    lake.append(RecordingRow, recordings, "ingest")
    lake.append(ConfigurationRow, [configuration("segment", "one")], "configuration:1")
    lake.append(SegmentRow, [segment(r, n, "one") for r in recordings[:2] for n in range(3)], "segment")
    return lake


def _missing(lake: Lake, configuration: str, shard: str) -> list[str]:
    with connect(lake.snapshot()) as connection:
        rows = missing_inputs(connection, corpus="c", shard=shard, configuration=configuration, tables=QUANTIZE)
    return [row["id"] for row in rows]


def test_everything_is_missing_at_first_and_dropped_rows_never_are(tmp_path: Path) -> None:
    lake = _lake(tmp_path)
    with connect(lake.snapshot()) as connection:
        plan = plan_stage(connection, "quantize", corpus="c", configuration="k", tables=QUANTIZE)
        segments = plan_stage(connection, "segment", corpus="c", configuration="one", tables=SEGMENT)
    assert [(shard.shard, shard.rows) for shard in plan.shards] == [("c-1", 3), ("c-2", 3)]
    assert (plan.rows, plan.rows_done, plan.audio_seconds) == (6, 0, 6.0)
    assert (segments.rows, segments.rows_done) == (0, 2)


def test_what_has_a_row_with_the_right_fingerprint_is_not_planned_again(tmp_path: Path) -> None:
    lake = _lake(tmp_path)
    upstream = segment(recording("r1"), 0, "one").fingerprint
    lake.append(CodesRow, [codes("r1-0", chain("k", upstream)), codes("r1-1", "stale")], "quantize")
    assert _missing(lake, "k", "c-1") == ["r1-1", "r1-2"]


def test_a_dropped_output_counts_as_an_answer(tmp_path: Path) -> None:
    lake = _lake(tmp_path)
    upstream = segment(recording("r1"), 0, "one").fingerprint
    lake.append(CodesRow, [codes("r1-0", chain("k", upstream), drop_reason="silent")], "quantize")
    assert _missing(lake, "k", "c-1") == ["r1-1", "r1-2"]


def test_the_planned_fingerprint_is_the_one_python_chains(tmp_path: Path) -> None:
    lake = _lake(tmp_path)
    with connect(lake.snapshot()) as connection:
        rows = missing_inputs(connection, corpus="c", shard="c-1", configuration="k", tables=QUANTIZE)
    assert rows[0]["output_fingerprint"] == chain("k", segment(recording("r1"), 0, "one").fingerprint)


@pytest.mark.parametrize("tables", [QUANTIZE, SEGMENT, PHONEMIZE], ids=lambda tables: tables.writes)
def test_the_tables_involved_are_enough_to_know_what_a_shard_needs(tables: StageTables, tmp_path: Path) -> None:
    lake = _lake(tmp_path)
    first = segment(recording("r1"), 0, "one").fingerprint
    lake.append(ConfigurationRow, [configuration("transcribe", "t")], "configuration:t")
    lake.append(TranscriptRow, [transcript("r1-0", chain("t", first))], "transcribe")
    lake.append(CodesRow, [codes("r1-1", chain("k", segment(recording("r1"), 1, "one").fingerprint))], "quantize")

    def missing(snapshot: Snapshot) -> list[dict[str, Any]]:
        with connect(snapshot) as connection:
            return missing_inputs(connection, corpus="c", shard="c-1", configuration="k", tables=tables)

    answer = missing(lake.snapshot(tables=tables.involved))
    assert answer
    assert answer == missing(lake.snapshot())


def test_going_back_to_an_old_configuration_brings_its_rows_back(tmp_path: Path) -> None:
    lake = _lake(tmp_path)
    lake.append(ConfigurationRow, [configuration("segment", "two", at=NOW + timedelta(1))], "configuration:2")
    with connect(lake.snapshot()) as connection:
        assert connection.execute("SELECT count(*) FROM current_segments").fetchone() == (0,)
    lake.append(ConfigurationRow, [configuration("segment", "one", at=NOW + timedelta(2))], "configuration:3")
    with connect(lake.snapshot()) as connection:
        assert connection.execute("SELECT count(*) FROM current_segments").fetchone() == (6,)


def test_of_two_recordings_with_the_same_bytes_the_first_is_used(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    copies = [
        recording("late", content_hash="same", ingested_at=NOW + timedelta(1)),
        recording("early", content_hash="same"),
    ]
    lake.append(RecordingRow, copies, "ingest")
    with connect(lake.snapshot()) as connection:
        assert connection.execute("SELECT id FROM input_recordings").fetchall() == [("early",)]
        assert connection.execute("SELECT id, drop_reason FROM drops").fetchall() == [("late", "duplicate")]


def test_a_file_that_changed_replaces_its_older_reading(tmp_path: Path) -> None:
    lake = _lake(tmp_path)
    lake.append(RecordingRow, [recording("r1", fingerprint="new", ingested_at=NOW + timedelta(1))], "again")
    with connect(lake.snapshot()) as connection:
        left = connection.execute("SELECT DISTINCT recording_id FROM current_segments").fetchall()
    assert left == [("r2",)]


def test_hypothetical_configurations_change_the_views_and_not_the_lake(tmp_path: Path) -> None:
    lake = _lake(tmp_path)
    with connect(lake.snapshot()) as connection:
        set_hypothetical_configurations(connection, [configuration("segment", "two", at=NOW + timedelta(1))])
        assert connection.execute("SELECT count(*) FROM current_segments").fetchone() == (0,)
    with connect(lake.snapshot()) as connection:
        assert connection.execute("SELECT count(*) FROM current_segments").fetchone() == (6,)


def test_two_runs_take_the_shards_in_orders_of_their_own() -> None:
    shards = tuple(ShardPlan(f"c-{number}", 1, 1.0) for number in range(20))
    plan = StagePlan(stage="s", corpus="c", configuration="k", shards=shards, rows_done=0, is_active=True)
    first, second = plan.shards_for("one"), plan.shards_for("other")
    assert sorted(first, key=shards.index) == sorted(second, key=shards.index) == list(shards)
    assert plan.shards_for("one") == first
    # Of runs that walk through one corpus side by side few shards are at the same place in both orders.
    assert sum(a == b for a, b in zip(first, second, strict=True)) <= 4


def test_texts_of_spans_and_channels_reach_the_stages(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    spans = [Span(start=0.0, end=1.0), Span(start=1.0, end=2.0)]
    one = recording("r1", spans=spans, span_texts=["One.", None], channel=1, num_channels=2)
    whole = recording("r2", text="All of it.")
    lake.append(RecordingRow, [one, whole], "ingest")
    lake.append(ConfigurationRow, [configuration("segment", "one")], "configuration:1")
    rows = [
        segment(one, 0, "one", cut="given", given_text="One."),
        segment(one, 1, "one"),
        segment(whole, 0, "one", cut="given", num_samples=160000),
    ]
    lake.append(SegmentRow, rows, "segment")
    with connect(lake.snapshot()) as connection:
        (read,) = missing_inputs(connection, corpus="c", shard="c-1", configuration="two", tables=SEGMENT)[:1]
        inputs = missing_inputs(connection, corpus="c", shard="c-1", configuration="k", tables=QUANTIZE)
    assert (read["span_texts"], read["channel"]) == (["One.", None], 1)
    assert [(row["id"], row["text"], row["channel"]) for row in inputs] == [
        ("r1-0", "One.", 1),
        ("r1-1", None, 1),
        ("r2-0", "All of it.", None),
    ]
