"""A lake of format 1, made by taking the statistic of codes out of the log, is converted with all of its rows."""

import json
from pathlib import Path

import pytest
from deltalake import DeltaTable, Schema
from deltalake.transaction import AddAction

from tests.unit.warehouse.test_codebooks import codes
from warehouse.errors import LakeError
from warehouse.lake.arrow import schema_of
from warehouse.lake.data_files import write_rows
from warehouse.lake.format import LAKE_FORMAT, read_format
from warehouse.lake.store import read_parquet
from warehouse.lake.tables import Lake
from warehouse.rows import CodesRow
from warehouse.upkeep.migrate import migrate_lake


def old_lake(root: Path) -> Lake:
    """Return a lake of format 1 with two data files."""
    schema = Schema.from_arrow(schema_of(CodesRow, 8))
    table = DeltaTable.create(str(root / "codes"), schema)
    for name in ("a", "b"):
        written = write_rows(root / "codes", CodesRow, [codes(f"{name}{number}", frames=3) for number in range(4)])
        action = AddAction(written.name, written.size, {}, 0, True, json.dumps({"numRecords": 4}))
        DeltaTable(str(root / "codes")).create_write_transaction([action], mode="append", schema=table.schema())
    return Lake(root)


def rows_of(lake: Lake) -> list[dict]:
    files = lake.snapshot(tables=["codes"]).data_files["codes"]
    return sorted((row for file in files for row in read_parquet(file).to_pylist()), key=lambda row: row["segment_id"])


def test_a_new_lake_has_the_number(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append(CodesRow, [codes("a", frames=3)], "a")
    assert read_format(tmp_path) == LAKE_FORMAT
    assert migrate_lake(lake) == 0


def test_an_old_lake_is_refused_and_converted_with_every_row(tmp_path: Path) -> None:
    lake = old_lake(tmp_path)
    before = [read_parquet(path).to_pylist() for path in sorted((tmp_path / "codes").glob("*.parquet"))]
    with pytest.raises(LakeError, match=r"valle migrate"):
        lake.snapshot()
    assert migrate_lake(lake) == 2
    expected = sorted((row for rows in before for row in rows), key=lambda row: row["segment_id"])
    assert rows_of(lake) == expected
    assert len(expected) == 8
    assert (read_format(tmp_path), migrate_lake(lake)) == (LAKE_FORMAT, 0)


def test_a_lake_of_a_later_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "format.json").write_text('{"format": 99}')
    with pytest.raises(LakeError, match="format 99"):
        Lake(tmp_path).snapshot()
