"""A lake that was written before a table got a column still opens, and takes rows with it."""

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, get_type_hints

import pytest

from warehouse.catalogue.views import connect, run_query
from warehouse.lake.arrow import from_table
from warehouse.lake.renamed import RENAMED
from warehouse.lake.tables import Lake
from warehouse.model_rows import ScoreRow
from warehouse.tables import TABLES
from warehouse.upkeep.fsck import fsck
from warehouse.upkeep.maintenance import compact

OLD_FIELDS = [field for field in dataclasses.fields(ScoreRow) if field.default is dataclasses.MISSING]
HINTS = get_type_hints(ScoreRow, include_extras=True)
OldScoreRow = dataclasses.make_dataclass(
    "OldScoreRow",
    [(field.name, HINTS[field.name]) for field in OLD_FIELDS],
    namespace={"table": "scores", "key": "score_id", "__annotations__": {"table": ClassVar[str], "key": ClassVar[str]}},
    frozen=True,
    kw_only=True,
)


def values(score_id):
    filled = {str: "x", int: 1, float: 1.0}
    content = {}
    for field in OLD_FIELDS:
        hint = HINTS[field.name].__origin__
        content[field.name] = next((v for kind, v in filled.items() if hint in (kind, kind | None)), None)
    return content | {"score_id": score_id, "scored_at": datetime(2026, 1, 1, tzinfo=UTC)}


@pytest.fixture
def old_lake(tmp_path):
    lake = Lake(tmp_path / "lake")
    lake.append(OldScoreRow, [OldScoreRow(**values("old"))], "unit-old")
    return lake


def scores(lake):
    with connect(lake.snapshot()) as connection:
        return list(from_table(ScoreRow, run_query(connection, "SELECT * FROM scores ORDER BY score_id")))


def test_rows_of_an_old_lake_read_with_nulls_in_the_columns_it_lacks(old_lake):
    (row,) = scores(old_lake)
    assert (row.score_id, row.reference_raw, row.sim_r) == ("old", None, None)


def test_an_old_table_takes_rows_with_new_columns(old_lake):
    old_lake.append(ScoreRow, [ScoreRow(**values("new"), reference_raw="Hi!", sim_r=0.5)], "unit-new")
    new, old = scores(old_lake)
    assert (new.reference_raw, new.sim_r, old.reference_raw) == ("Hi!", 0.5, None)
    names = {field.name for field in old_lake.open_table("scores").schema().fields}
    assert names == {field.name for field in dataclasses.fields(ScoreRow)}
    assert fsck(old_lake).faults == ()
    compact(old_lake)
    assert [row.score_id for row in scores(old_lake)] == ["new", "old"]


def test_the_version_before_the_columns_can_still_be_read(old_lake):
    before = old_lake.snapshot().versions
    old_lake.append(ScoreRow, [ScoreRow(**values("new"), reference_raw="Hi!")], "unit-new")
    with connect(old_lake.snapshot(before)) as connection:
        assert run_query(connection, "SELECT score_id, reference_raw FROM scores").to_pylist() == [
            {"score_id": "old", "reference_raw": None}
        ]


@pytest.mark.parametrize("row_class", TABLES, ids=lambda row_class: row_class.table)
def test_a_column_that_tables_did_not_have_at_first_has_a_default(row_class):
    first = json.loads((Path(__file__).parents[2] / "golden" / "first_columns.json").read_text(encoding="utf-8"))
    old = RENAMED.get(row_class.table, {})
    fields = dataclasses.fields(row_class)
    needed = [old.get(field.name, field.name) for field in fields if field.default is dataclasses.MISSING]
    assert set(needed) <= set(first.get(row_class.table, needed)), "without one, lakes of before cannot be opened"
