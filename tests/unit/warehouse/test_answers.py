"""Answers are exact in every format, and folders above the lake are no columns."""

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.warehouse.rows_for_tests import codes, recording
from warehouse.catalogue.answers import print_answer, write_answer
from warehouse.catalogue.catalogue import Catalogue
from warehouse.catalogue.display import format_table
from warehouse.catalogue.views import connect, run_query
from warehouse.lake.tables import Lake
from warehouse.rows import CodesRow, RecordingRow
from warehouse.upkeep.fsck import fsck


def answer(sql: str, tmp_path: Path) -> pa.Table:
    with connect(Lake(tmp_path / "lake").snapshot()) as connection:
        return run_query(connection, sql)


def as_json(table: pa.Table) -> object:
    stream = io.StringIO()
    print_answer(table, stream, "json")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(stream.getvalue(), parse_constant=refuse)


def test_sums_of_integers_are_integers(tmp_path: Path) -> None:
    table = answer(
        "SELECT sum(range) AS n, 170141183460469231731687303715884105727::HUGEINT AS h FROM range(5)", tmp_path
    )
    assert as_json(table) == [{"n": 10, "h": 170141183460469231731687303715884105727}]
    write_answer(table.select(["n"]), tmp_path / "a.parquet", "parquet")
    assert pq.read_schema(tmp_path / "a.parquet").field("n").type == pa.int64()
    assert format_table(table.select(["n"])).splitlines()[-1] == "10"


def test_what_is_not_finite_is_null_also_inside_lists_and_structs(tmp_path: Path) -> None:
    table = answer(
        "SELECT 1.0::DOUBLE/0 AS i, 0.0::DOUBLE/0 AS n, [1.0, 1.0::DOUBLE/0] AS l, {'x': -1.0::DOUBLE/0} AS s", tmp_path
    )
    assert as_json(table) == [{"i": None, "n": None, "l": [1.0, None], "s": {"x": None}}]


def test_dates_and_decimals_are_text_and_numbers(tmp_path: Path) -> None:
    table = answer("SELECT DATE '2026-01-02' AS d, 1.5::DECIMAL(4, 2) AS x, true AS b, NULL AS n", tmp_path)
    assert as_json(table) == [{"d": "2026-01-02", "x": 1.5, "b": True, "n": None}]


@pytest.mark.parametrize(
    "folder", ["corpus=librilight", "language=7", "segment_id=x/num_frames=abc", "date=2026-11-30"]
)
def test_a_folder_with_an_equals_sign_above_the_lake_replaces_no_column(folder: str, tmp_path: Path) -> None:
    lake = Lake(tmp_path / folder / "lake")
    lake.append(RecordingRow, [recording("r", corpus="emilia", language="en")], "ingest")
    lake.append(CodesRow, [codes("s")], "quantize")
    sql = "SELECT r.corpus, r.language, k.segment_id, k.num_frames FROM recordings r, codes k"
    with connect(lake.snapshot()) as connection:
        assert connection.execute(sql).fetchall() == [("emilia", "en", "s", 20)]
    path = Catalogue(lake, tmp_path / "catalogue.duckdb").refresh()
    assert path.exists() and fsck(lake).is_sound
