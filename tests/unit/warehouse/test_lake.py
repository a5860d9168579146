"""The lake: commits are atomic, one per unit of work, and nothing is lost when several processes commit at once."""

import multiprocessing
import resource
import signal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.unit.warehouse.rows_for_tests import codes
from warehouse.catalogue.views import connect
from warehouse.errors import CommitConflict, LakeError, StorageError
from warehouse.lake.data_files import write_rows
from warehouse.lake.tables import Lake, one_line
from warehouse.rows import CodesRow
from warehouse.upkeep.fsck import fsck


def _segments(lake: Lake) -> list[str]:
    paths = lake.snapshot().data_files.get("codes", ())
    return sorted(name for path in paths for name in pq.read_table(path)["segment_id"].to_pylist())


def test_a_commit_is_visible_and_a_part_without_one_is_not(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append(CodesRow, [codes("a")], "quantize:1")
    write_rows(lake.folder("codes"), CodesRow, [codes("b")])
    assert _segments(lake) == ["a"]


def test_a_unit_of_work_is_committed_once(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append(CodesRow, [codes("a")], "quantize:1")
    with pytest.raises(CommitConflict):
        lake.append(CodesRow, [codes("a")], "quantize:1")
    assert _segments(lake) == ["a"]
    assert lake.is_committed("codes", "quantize:1")
    assert not lake.is_committed("codes", "quantize:2")


def _commit_many(root: str, worker: int, barrier: object) -> None:
    lake = Lake(Path(root))
    barrier.wait()  # type: ignore[attr-defined]
    for number in range(12):
        lake.append(CodesRow, [codes(f"{worker}-{number}")], f"quantize:{worker}-{number}")


def test_four_processes_committing_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(4)
    workers = [context.Process(target=_commit_many, args=(str(tmp_path), n, barrier)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
    assert _segments(Lake(tmp_path)) == sorted(f"{w}-{n}" for w in range(4) for n in range(12))
    assert fsck(Lake(tmp_path)).is_sound


def _commit_the_same(root: str, barrier: object, outcomes: object) -> None:
    lake = Lake(Path(root))
    for number in range(8):
        barrier.wait()  # type: ignore[attr-defined]
        try:
            lake.append(CodesRow, [codes(f"s{number}")], f"quantize:{number}")
            outcomes.put("first")  # type: ignore[attr-defined]
        except CommitConflict:
            outcomes.put("second")  # type: ignore[attr-defined]


def test_two_processes_that_do_the_same_work_leave_one_copy(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, outcomes = context.Barrier(2), context.Queue()
    workers = [context.Process(target=_commit_the_same, args=(str(tmp_path), barrier, outcomes)) for _ in range(2)]
    for worker in workers:
        worker.start()
    seen = sorted(outcomes.get(timeout=300) for _ in range(16))
    for worker in workers:
        worker.join()
    assert seen == ["first"] * 8 + ["second"] * 8
    assert _segments(Lake(tmp_path)) == [f"s{number}" for number in range(8)]


def test_an_old_version_can_be_read_after_later_commits(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append(CodesRow, [codes("a")], "quantize:1")
    before = lake.snapshot()
    lake.append(CodesRow, [codes("b")], "quantize:2")
    assert lake.snapshot(before.versions).data_files == before.data_files
    assert len(lake.snapshot().data_files["codes"]) == 2


def test_equal_rows_make_equal_data_files_in_any_order(tmp_path: Path) -> None:
    one = write_rows(tmp_path, CodesRow, [codes("a"), codes("b")])
    other = write_rows(tmp_path, CodesRow, [codes("b"), codes("a")])
    assert one == other


def _write_with_a_small_limit(root: str) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    with pytest.raises(StorageError, match="free space"):
        write_rows(Path(root) / "codes", CodesRow, [codes(f"s{n}", frames=500) for n in range(50)])


def test_a_disk_that_is_full_is_one_sentence_and_leaves_no_file(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_write_with_a_small_limit, args=(str(tmp_path),))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert list((tmp_path / "codes").iterdir()) == []


def test_the_message_of_a_library_becomes_one_line_without_terminal_colours() -> None:
    error = OSError("Generic LocalFileSystem error\x1b[31m: No space\n  left\x1b[0m on device.")
    assert one_line(error) == "Generic LocalFileSystem error: No space left on device"


@pytest.mark.parametrize("name", ["my%20data", "my\\data", "my\ndata"])
def test_a_folder_that_delta_lake_does_not_open_is_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(LakeError, match="in its path; rename the folder"):
        Lake(tmp_path / name / "lake")


@pytest.mark.parametrize("name", ["100% data", "a[b]*?'\"{c}#;$~", "corpus=x"])
def test_a_lake_may_be_in_a_folder_of_any_other_name(tmp_path: Path, name: str) -> None:
    lake = Lake(tmp_path / name / "lake")
    lake.append(CodesRow, [codes("a")], "one")
    with connect(lake.snapshot()) as connection:
        assert connection.execute("SELECT count(*) FROM codes").fetchone() == (1,)
