"""fsck finds what is wrong, compaction changes no row, vacuum removes only what nothing names."""

import os
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.unit.warehouse.rows_for_tests import codes
from warehouse.catalogue.views import connect
from warehouse.errors import LakeError
from warehouse.lake.data_files import write_rows
from warehouse.lake.tables import Lake
from warehouse.rows import CodesRow
from warehouse.upkeep.claims import claimed
from warehouse.upkeep.fsck import fsck
from warehouse.upkeep.maintenance import compact, vacuum


def _filled(tmp_path: Path, parts: int = 4) -> Lake:
    lake = Lake(tmp_path)
    for number in range(parts):
        lake.append(CodesRow, [codes(f"{number}-{n}", frames=400) for n in range(64)], f"quantize:{number}")
    return lake


def _rows(lake: Lake) -> list[tuple[object, ...]]:
    with connect(lake.snapshot()) as connection:
        return connection.execute("SELECT segment_id, q0, q7 FROM codes ORDER BY segment_id").fetchall()


def test_a_sound_lake_has_no_faults(tmp_path: Path) -> None:
    check = fsck(_filled(tmp_path))
    assert check.is_sound
    assert (check.data_files, check.rows, check.orphans) == (4, 256, ())


def test_fsck_names_a_row_that_is_there_twice(tmp_path: Path) -> None:
    lake = _filled(tmp_path)
    lake.append(CodesRow, [codes("1-3")], "by another name")
    assert [(fault.kind, fault.what) for fault in fsck(lake).faults] == [("duplicate_row", "1-3")]


def test_fsck_names_a_damaged_part(tmp_path: Path) -> None:
    lake = _filled(tmp_path)
    victim = lake.snapshot().data_files["codes"][0]
    content = bytearray(victim.read_bytes())
    content[200:400] = bytes(200)
    victim.write_bytes(content)
    faults = fsck(lake).faults
    assert [fault.kind for fault in faults] == ["damaged_file"]
    assert victim.name in faults[0].what


def test_fsck_names_a_missing_part(tmp_path: Path) -> None:
    lake = _filled(tmp_path)
    victim = lake.snapshot().data_files["codes"][0]
    victim.unlink()
    assert [fault.kind for fault in fsck(lake).faults] == ["unreadable_file"]


def test_compaction_keeps_every_row_and_the_dictionary_encoding(tmp_path: Path) -> None:
    lake = _filled(tmp_path)
    before = _rows(lake)
    (done,) = compact(lake)
    (part,) = lake.snapshot().data_files["codes"]
    metadata = pq.read_metadata(part)
    assert (done.files_before, done.files_after) == (4, 1)
    assert _rows(lake) == before
    columns = {metadata.schema.column(i).path: i for i in range(metadata.num_columns)}
    q0 = metadata.row_group(0).column(columns["q0.list.element"])
    assert "RLE_DICTIONARY" in q0.encodings
    assert part.stat().st_size * 8 / (256 * 400 * 8) < 10.4


def test_vacuum_spares_what_a_pin_names_and_what_is_young(tmp_path: Path) -> None:
    lake = _filled(tmp_path)
    lake.pin("set", {"codes": lake.snapshot().versions["codes"]})
    orphan = lake.folder("codes") / write_rows(lake.folder("codes"), CodesRow, [codes("never committed")]).name
    compact(lake)
    assert vacuum(lake, grace_hours=1).files == 0
    os.utime(orphan, (time.time() - 7200, time.time() - 7200))
    assert vacuum(lake, grace_hours=1, dry_run=True).files == 1
    assert orphan.exists()
    assert vacuum(lake, grace_hours=1).files == 1
    assert not orphan.exists()
    assert len(lake.snapshot(lake.pins()["set"]).data_files["codes"]) == 4
    assert all(path.exists() for path in lake.snapshot(lake.pins()["set"]).data_files["codes"])


def test_vacuum_without_a_grace_period_spares_what_a_run_is_about_to_commit(tmp_path: Path) -> None:
    lake = _filled(tmp_path)
    written = lake.folder("codes") / write_rows(lake.folder("codes"), CodesRow, [codes("not committed yet")]).name
    compact(lake)
    with claimed(lake, "unit", "one"), lake.pinned_snapshot():
        # The four files that compaction replaced, and nothing that is in use.
        assert vacuum(lake, grace_hours=0).files == 4
        assert written.exists()
        assert list((tmp_path / "_claims").iterdir()) and list((tmp_path / "_pins").iterdir())


def test_vacuum_removes_the_claims_of_killed_runs(tmp_path: Path) -> None:
    lake = _filled(tmp_path)
    with claimed(lake, "young", "one"), claimed(lake, "old", "one"):
        old = tmp_path / "_claims" / "old.json"
        os.utime(old, (time.time() - 7200, time.time() - 7200))
        assert vacuum(lake, grace_hours=1).files == 1
        assert [note.name for note in old.parent.iterdir()] == ["young.json"]


def test_a_damaged_log_is_one_sentence(tmp_path: Path) -> None:
    lake = _filled(tmp_path)
    for entry in (lake.folder("codes") / "_delta_log").glob("*.json"):
        entry.write_text("not json")
    with pytest.raises(LakeError, match="valle lake fsck"):
        lake.snapshot()
