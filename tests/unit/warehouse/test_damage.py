"""fsck finds every changed byte, also in pinned and rewritten data files; vacuum keeps what readers may still read."""

import os
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.unit.warehouse.rows_for_tests import codes
from warehouse.catalogue.views import connect
from warehouse.lake.store import open_parquet
from warehouse.lake.tables import Lake
from warehouse.rows import CodesRow
from warehouse.upkeep.fsck import fsck
from warehouse.upkeep.maintenance import compact, vacuum

_FLIPS = 48


def filled(root: Path, files: int = 3) -> Lake:
    lake = Lake(root)
    for number in range(files):
        lake.append(CodesRow, [codes(f"{number}-{n}", frames=60) for n in range(12)], f"quantize:{number}")
    return lake


def data_files(lake: Lake) -> list[Path]:
    files = lake.snapshot().data_files["codes"]
    assert all(isinstance(file, Path) for file in files)
    return [file for file in files if isinstance(file, Path)]


def flip(path: Path, position: int, bit: int) -> bytes:
    content = bytearray(path.read_bytes())
    before = bytes(content)
    content[position] ^= 1 << bit
    path.write_bytes(content)
    return before


@pytest.mark.parametrize("is_compacted", [False, True], ids=["written", "compacted"])
def test_fsck_names_the_file_of_each_of_48_flipped_bits(tmp_path: Path, is_compacted: bool) -> None:
    lake = filled(tmp_path)
    if is_compacted:
        compact(lake)
    assert fsck(lake).is_sound
    victim = data_files(lake)[0]
    size = victim.stat().st_size
    for number in range(_FLIPS):
        whole = flip(victim, number * size // _FLIPS + number % 7, number % 8)
        faults = fsck(lake).faults
        assert [(fault.table, victim.name in fault.what) for fault in faults] == [("codes", True)], number
        victim.write_bytes(whole)
    assert fsck(lake).is_sound


def test_fsck_names_a_commit_that_declares_other_codebooks_than_its_file_has(tmp_path: Path) -> None:
    lake = filled(tmp_path)
    log = next(file for file in (tmp_path / "codes/_delta_log").glob("*.json") if "maxValues" in file.read_text())
    whole = log.read_text()
    for old, new in (("maxValues", "maxValuds"), (r'"num_codebooks\": 8', r'"num_codebooks\": 3')):
        assert old in whole
        log.write_text(whole.replace(old, new))
        assert [fault.kind for fault in fsck(lake).faults] == ["statistics"]
    log.write_text(whole)
    assert fsck(lake).is_sound


def test_a_page_that_was_changed_is_refused_when_it_is_read(tmp_path: Path) -> None:
    victim = data_files(filled(tmp_path, files=1))[0]
    column = pq.ParquetFile(victim).metadata.row_group(0).column(7)
    flip(victim, column.data_page_offset + column.total_compressed_size // 2, 3)
    with open_parquet(victim) as file, pytest.raises(OSError, match="CRC"):
        file.read()


def test_fsck_reads_the_pinned_versions_too(tmp_path: Path) -> None:
    lake = filled(tmp_path)
    lake.pin("set", lake.snapshot().versions)
    pinned = data_files(lake)
    compact(lake)
    assert fsck(lake).is_sound
    pinned[1].unlink()
    assert [(fault.kind, pinned[1].name in fault.what) for fault in fsck(lake).faults] == [("unreadable_file", True)]


def grow_old(lake: Lake, hours: float) -> None:
    """Let every file of the table of codes look as old as that."""
    then = time.time() - hours * 3600
    for path in Path(str(lake.folder("codes"))).glob("*.parquet"):
        os.utime(path, (then, then))


def test_a_file_that_was_replaced_a_moment_ago_stays_for_its_readers(tmp_path: Path) -> None:
    lake = filled(tmp_path)
    grow_old(lake, hours=48)
    with connect(lake.snapshot()) as reader:
        compact(lake)
        assert vacuum(lake, grace_hours=24).files == 0
        assert reader.execute("SELECT count(*) FROM codes").fetchone() == (36,)
    then = time.time() - 25 * 3600
    for entry in (tmp_path / "codes" / "_delta_log").iterdir():
        os.utime(entry, (then, then))
    assert vacuum(lake, grace_hours=24).files == 3
    assert fsck(lake).is_sound


def test_a_reader_that_holds_a_snapshot_keeps_its_files_whatever_the_grace(tmp_path: Path) -> None:
    lake = filled(tmp_path)
    with lake.pinned_snapshot() as snapshot, connect(snapshot) as reader:
        compact(lake)
        assert vacuum(lake, grace_hours=24).files == 0
        assert len(lake.pins()) == 1
        assert reader.execute("SELECT count(*) FROM codes").fetchone() == (36,)
    assert lake.pins() == {}
    assert vacuum(lake, grace_hours=0).files == 3
