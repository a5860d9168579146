"""A lake on an S3-compatible store: what holds in a folder holds there."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.warehouse.rows_for_tests import codes
from warehouse.catalogue.catalogue import Catalogue
from warehouse.catalogue.views import connect, named_queries, run_query, run_select
from warehouse.errors import CatalogueError, CommitConflict, LakeError
from warehouse.lake.store import ObjectPath, delete, files_below, location_of, open_parquet, relative_name, write_text
from warehouse.lake.tables import Lake
from warehouse.rows import CodesRow
from warehouse.tables import TABLES
from warehouse.upkeep import maintenance
from warehouse.upkeep.claims import claimed
from warehouse.upkeep.fsck import fsck
from warehouse.upkeep.maintenance import compact, vacuum
from warehouse.upkeep.retry import forget_drops

pytest.importorskip("moto")
from tests.object_store import BUCKET, ObjectStore, object_store


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with pytest.MonkeyPatch.context() as patch, object_store() as server:
        for name, value in server.variables.items():
            patch.setenv(name, value)
        yield server


@pytest.fixture
def lake(store: ObjectStore, request: pytest.FixtureRequest) -> Lake:
    return Lake(location_of(f"s3://{BUCKET}/{request.node.name}"))


def _ids(lake: Lake, table: str = "codes") -> list[str]:
    with connect(lake.snapshot()) as connection:
        return run_query(connection, f"SELECT segment_id FROM {table} ORDER BY 1")["segment_id"].to_pylist()


def test_rows_are_read_back_and_a_unit_is_committed_once(lake: Lake) -> None:
    lake.append(CodesRow, [codes("b"), codes("a")], "one")
    with pytest.raises(CommitConflict):
        lake.append(CodesRow, [codes("c")], "one")
    lake.append(CodesRow, [codes("c")], "two")
    assert _ids(lake) == ["a", "b", "c"]
    assert lake.is_committed("codes", "two") and not lake.is_committed("codes", "three")
    assert lake.stored_bytes("codes") > 0


def test_a_unit_is_claimed_by_one_run_and_free_again_afterwards(lake: Lake) -> None:
    with claimed(lake, "unit", "one") as first, claimed(lake, "unit", "other") as second:
        assert (first, second) == (True, False)
    with claimed(lake, "unit", "other") as later:
        assert later
    assert not list(files_below(lake.root / "_claims"))


def test_older_versions_stay_readable(lake: Lake) -> None:
    lake.append(CodesRow, [codes("a")], "one")
    before = lake.snapshot().versions
    lake.append(CodesRow, [codes("b")], "two")
    with connect(lake.snapshot(before)) as connection:
        assert run_query(connection, "SELECT segment_id FROM codes")["segment_id"].to_pylist() == ["a"]


def test_every_kept_query_runs_there(lake: Lake) -> None:
    lake.append(CodesRow, [codes("a")], "one")
    with connect(lake.snapshot()) as connection:
        for query in named_queries().values():
            assert run_query(connection, query.sql).num_columns > 0


def test_what_was_written_or_read_once_is_not_asked_for_again(lake: Lake, store: ObjectStore) -> None:
    lake.append(CodesRow, [codes("a")], "one")
    lake.append(CodesRow, [codes("b")], "two")
    before = len(store.requests())
    assert _ids(lake) == ["a", "b"]
    assert not [request for request in store.requests()[before:] if ".parquet" in request]


def test_another_machine_reads_a_part_with_two_requests(
    lake: Lake, store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.append(CodesRow, [codes("a")], "one")
    monkeypatch.setenv("VALLE_CACHE", str(tmp_path))
    before = len(store.requests())
    assert _ids(lake) == _ids(lake) == ["a"]
    asked = [request.split()[0] for request in store.requests()[before:] if ".parquet" in request]
    assert asked == ["HEAD", "GET"]


def test_the_newest_snapshot_costs_the_same_after_any_number_of_commits(lake: Lake, store: ObjectStore) -> None:
    asked = []
    for unit in range(4):
        lake.append(CodesRow, [codes(f"row {unit}")], f"unit {unit}")
        lake.snapshot()
        before = len(store.requests())
        lake.snapshot()
        asked.append(len(store.requests()) - before)
    assert asked == [2 * len(TABLES)] * 4


_WRITER = """
import sys
from tests.unit.warehouse.rows_for_tests import codes
from warehouse.errors import CommitConflict
from warehouse.lake.tables import Lake
from warehouse.rows import CodesRow
from warehouse.lake.store import location_of
lake, done = Lake(location_of(sys.argv[1])), 0
for unit in range(4):
    try:
        lake.append(CodesRow, [codes(f"row {unit}")], f"unit {unit}")
        done += 1
    except CommitConflict:
        pass
print(done)
"""


def test_two_processes_that_do_the_same_work_leave_one_copy_of_it(lake: Lake) -> None:
    root = Path(__file__).parents[3]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(lake.root)], cwd=root, env=dict(os.environ), stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    done = [int(writer.communicate(timeout=600)[0]) for writer in writers]
    assert sum(done) == 4
    assert _ids(lake) == [f"row {unit}" for unit in range(4)]
    assert fsck(lake).is_sound


def test_fsck_finds_what_is_missing_and_vacuum_removes_what_nothing_names(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.append(CodesRow, [codes("a")], "one")
    lake.append(CodesRow, [codes("b")], "two")
    lake.pin("kept", lake.snapshot().versions)
    assert lake.pins() == {"kept": {"codes": 2}}
    compact(lake)
    write_text(lake.folder("codes") / "orphan.parquet", "x")
    check = fsck(lake)
    assert check.is_sound and check.data_files == 3, "the compacted file, and the two that are pinned"
    assert [file.location.name for file in check.orphans] == ["orphan.parquet"]
    assert vacuum(lake, grace_hours=5).files == 0
    assert vacuum(lake, grace_hours=0).files == 0, "a run may be about to commit it"
    # Times on a store cannot be set.
    monkeypatch.setattr(maintenance, "_SECONDS_OF_A_WRITER", 0.0)
    assert vacuum(lake, grace_hours=0).files == 1
    assert len(list(files_below(lake.folder("codes")))) == 3, "the pinned data files stay"
    assert _ids(lake) == ["a", "b"]


def test_dropped_rows_are_forgotten(lake: Lake) -> None:
    lake.append(CodesRow, [codes("a"), codes("b", drop_reason="silent")], "one")
    assert forget_drops(lake, "quantize") == 1
    assert _ids(lake) == ["a"]


def test_the_catalogue_file_and_questions_from_elsewhere_work_there(lake: Lake, tmp_path: Path) -> None:
    lake.append(CodesRow, [codes("a")], "one")
    catalogue = Catalogue(lake, tmp_path / "catalogue.duckdb")
    path = catalogue.refresh()
    made = path.stat().st_ino
    assert catalogue.refresh().stat().st_ino == made
    with connect(lake.snapshot()) as connection:
        assert run_select(connection, "SELECT count(*) AS n FROM codes", lake=lake)["n"].to_pylist() == [1]
    with connect(lake.snapshot()) as connection, pytest.raises(CatalogueError):
        run_select(connection, f"SELECT * FROM read_text('{__file__}')", lake=lake)


def test_a_row_group_is_read_alone(lake: Lake) -> None:
    part = lake.append(CodesRow, [codes("a")], "one")
    with open_parquet(lake.folder("codes") / part.name) as file:
        assert len(file.read_row_group(0, columns=["q0"])["q0"][0]) == 20


def test_a_part_that_is_gone_is_found_by_fsck_and_is_one_sentence_elsewhere(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = lake.append(CodesRow, [codes("a")], "one")
    delete(lake.folder("codes") / part.name)
    assert {fault.kind for fault in fsck(lake).faults} == {"unreadable_file"}
    monkeypatch.setenv("VALLE_CACHE", str(tmp_path))
    with pytest.raises(CatalogueError, match="valle lake fsck"):
        _ids(lake)


def test_a_store_that_does_not_answer_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(LakeError, match="AWS_ENDPOINT_URL"):
        write_text(ObjectPath("s3://nowhere/file"), "x")


@pytest.mark.parametrize("root", ["s3://bucket/some/prefix", "/data/lake"])
def test_names_are_relative_to_the_lake_on_both_kinds_of_place(root: str) -> None:
    place: Any = location_of(root)
    assert relative_name(place / "codes" / "part.parquet", place) == "codes/part.parquet"
    assert str(place / "codes") == f"{root}/codes" and (place / "codes").name == "codes"


def test_another_kind_of_url_is_refused() -> None:
    with pytest.raises(LakeError, match="s3://bucket/prefix"):
        location_of("ftp://somewhere")
