"""A lake whose data files have the old name of a column opens, takes rows with the new name, and keeps both apart."""

import dataclasses
import json
from typing import ClassVar, get_type_hints

import pyarrow.parquet as pq
import pytest

from tests.unit.training.toy import make_toy_set
from tests.unit.warehouse.rows_for_tests import recording
from valle.data.selection.training_set import load_training_set
from warehouse.catalogue.views import connect, run_query
from warehouse.lake.arrow import column_hints
from warehouse.lake.renamed import RENAMED
from warehouse.lake.store import read_parquet
from warehouse.lake.tables import Lake
from warehouse.rows import RecordingRow
from warehouse.tables import TABLES
from warehouse.upkeep.fsck import fsck
from warehouse.upkeep.maintenance import compact

HINTS = get_type_hints(RecordingRow, include_extras=True)
OldRecordingRow = dataclasses.make_dataclass(
    "OldRecordingRow",
    [
        ("part" if field.name == "subset" else field.name, HINTS[field.name])
        for field in dataclasses.fields(RecordingRow)
    ],
    namespace={
        "table": "recordings",
        "key": "recording_id",
        "__annotations__": {"table": ClassVar[str], "key": ClassVar[str]},
    },
    frozen=True,
    kw_only=True,
)


@pytest.fixture
def old_lake(tmp_path):
    lake = Lake(tmp_path / "lake")
    values = dataclasses.asdict(recording("old", subset="small"))
    lake.append(OldRecordingRow, [OldRecordingRow(part=values.pop("subset"), **values)], "unit-old")
    return lake


def subsets(lake, versions=None):
    with connect(lake.snapshot(versions)) as connection:
        rows = run_query(connection, "SELECT recording_id, subset FROM recordings ORDER BY 1").to_pylist()
    return {row["recording_id"]: row["subset"] for row in rows}


def test_old_and_new_rows_of_a_lake_read_under_the_new_name(old_lake):
    before = old_lake.snapshot().versions
    assert subsets(old_lake) == {"old": "small"}
    old_lake.append(RecordingRow, [recording("new", subset="large")], "unit-new")
    assert subsets(old_lake) == {"old": "small", "new": "large"}
    assert subsets(old_lake, before) == {"old": "small"}
    assert fsck(old_lake).faults == ()
    compact(old_lake)
    assert subsets(old_lake) == {"old": "small", "new": "large"}


def test_a_lake_without_old_names_opens_no_data_file_for_them(tmp_path):
    lake = Lake(tmp_path / "lake")
    lake.append(RecordingRow, [recording("new")], "unit-new")
    assert lake.snapshot().old_names["recordings"] == {}


def test_an_old_training_set_opens_under_the_new_names(tmp_path):
    path = make_toy_set(tmp_path) / "set.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    items = read_parquet(tmp_path / "lake" / card["items_file"])
    old = [RENAMED["training_items"].get(name, name) for name in items.column_names]
    pq.write_table(items.rename_columns(old), tmp_path / "lake" / "old.parquet")
    card.pop("items_file")
    path.write_text(json.dumps(card | {"items_part": "old.parquet"}), encoding="utf-8")
    assert load_training_set(path.parent).items.equals(items)


@pytest.mark.parametrize("row_class", TABLES, ids=lambda row_class: row_class.table)
def test_renamed_columns_exist_and_their_old_names_are_free(row_class):
    names, renamed = set(column_hints(row_class)), RENAMED.get(row_class.table, {})
    assert set(renamed) <= names and not set(renamed.values()) & names
