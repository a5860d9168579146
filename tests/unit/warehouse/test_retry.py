"""Retrying: dropped rows are forgotten, and the same unit of work may be committed again."""

from pathlib import Path

import pytest

from tests.unit.warehouse.rows_for_tests import NOW, codes, recording
from warehouse.catalogue.views import connect
from warehouse.errors import ConfigurationError
from warehouse.lake.tables import Lake
from warehouse.rows import CodesRow, RecordingRow, SourceRow
from warehouse.upkeep.retry import forget_drops


def _ids(lake: Lake, table: str, column: str) -> list[str]:
    with connect(lake.snapshot()) as connection:
        return [key for (key,) in connection.execute(f"SELECT {column} FROM {table} ORDER BY 1").fetchall()]


def test_only_the_dropped_rows_that_are_meant_are_forgotten(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    rows = [codes("kept"), codes("silent", drop_reason="silent"), codes("corrupt", drop_reason="undecodable")]
    lake.append(CodesRow, rows, "quantize:1")
    assert forget_drops(lake, "quantize", reason="silent") == 1
    assert _ids(lake, "codes", "segment_id") == ["corrupt", "kept"]
    assert forget_drops(lake, "quantize", corpus="other") == 0


def test_a_unit_whose_rows_were_forgotten_can_be_committed_again(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append(CodesRow, [codes("a", drop_reason="silent")], "quantize:1")
    forget_drops(lake, "quantize")
    lake.append(CodesRow, [codes("a")], "quantize:1")
    assert _ids(lake, "codes", "segment_id") == ["a"]


def test_forgetting_a_dropped_recording_forgets_its_source(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    sources = [
        SourceRow(source_id=name, corpus="c", shard="c-1", path=name, relative_path=name, offset=0, size=1, etag="e",
                  found_at=NOW)
        for name in ("good", "bad")
    ]  # fmt: skip
    lake.append(SourceRow, sources, "list:1")
    lake.append(RecordingRow, [recording("good"), recording("bad", drop_reason="undecodable")], "ingest:c-1")
    assert forget_drops(lake, "ingest") == 1
    assert _ids(lake, "sources", "source_id") == ["good"]
    assert _ids(lake, "recordings", "recording_id") == ["good"]


def test_an_unknown_stage_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="transcribe"):
        forget_drops(Lake(tmp_path), "nothing")
