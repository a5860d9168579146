"""Rows of an unfinished shard: whole batches survive, nothing else does."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit.warehouse.rows_for_tests import codes
from warehouse.lake.tables import Lake
from warehouse.rows import CodesRow, SegmentRow
from warehouse.upkeep.journal import forget_unfinished, open_journal


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def _interrupt(lake: Lake, *batches: list[CodesRow]) -> Path:
    """A shard that fails after these batches; its file."""
    with pytest.raises(KeyboardInterrupt), open_journal(lake, CodesRow, "shard") as journal:
        for batch in batches:
            journal.add(batch)
        raise KeyboardInterrupt
    assert isinstance(lake.root, Path)
    (file,) = (lake.root / "_unfinished").iterdir()
    return file


def test_what_was_added_before_an_error_is_there_the_next_time_and_gone_after_success(lake: Lake) -> None:
    rows = [codes("a"), codes("b", frames=7), codes("c")]
    file = _interrupt(lake, rows[:2], rows[2:])
    with open_journal(lake, CodesRow, "shard") as journal:
        assert journal.rows == rows
        with open_journal(lake, CodesRow, "another shard") as other:
            assert other.rows == []
    assert not file.exists()
    with open_journal(lake, CodesRow, "shard") as journal:
        assert journal.rows == []


@pytest.mark.parametrize("damage", ["cut off", "changed", "half a head"])
def test_a_batch_that_was_not_written_whole_does_not_count_and_the_next_takes_its_place(
    lake: Lake, damage: str
) -> None:
    whole = _interrupt(lake, [codes("a")]).read_bytes()
    file = _interrupt(lake, [codes("b")])
    both = file.read_bytes()
    assert both.startswith(whole) and len(both) > len(whole)
    torn = {"cut off": both[:-1], "changed": both[:-9] + b"?" + both[-8:], "half a head": both[: len(whole) + 5]}
    file.write_bytes(torn[damage])
    with pytest.raises(KeyboardInterrupt), open_journal(lake, CodesRow, "shard") as journal:
        assert journal.rows == [codes("a")]
        journal.add([codes("c")])
        raise KeyboardInterrupt
    with open_journal(lake, CodesRow, "shard") as journal:
        assert journal.rows == [codes("a"), codes("c")]


def test_rows_of_other_columns_do_not_count(lake: Lake) -> None:
    _interrupt(lake, [codes("a")])
    with open_journal(lake, SegmentRow, "shard") as journal:
        assert journal.rows == []


def test_a_second_process_at_the_same_shard_keeps_nothing_and_spoils_nothing(lake: Lake) -> None:
    with pytest.raises(KeyboardInterrupt), open_journal(lake, CodesRow, "shard") as journal:
        journal.add([codes("a")])
        with open_journal(lake, CodesRow, "shard") as second:
            assert second.rows == []
            second.add([codes("b")])
        raise KeyboardInterrupt
    with open_journal(lake, CodesRow, "shard") as journal:
        assert journal.rows == [codes("a")]


@contextmanager
def _full_disk(size: int) -> Iterator[None]:
    """No file can grow beyond `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_ends_neither_the_shard_nor_what_was_kept_before(lake: Lake) -> None:
    size = _interrupt(lake, [codes("a")]).stat().st_size
    with pytest.raises(KeyboardInterrupt), open_journal(lake, CodesRow, "shard") as journal:
        with _full_disk(size + 10):
            journal.add([codes("b")])
        journal.add([codes("c")])
        raise KeyboardInterrupt
    with _full_disk(size + 10), open_journal(lake, CodesRow, "shard") as journal:
        assert journal.rows == [codes("a")]
        journal.add([codes("b")])


def test_a_shard_goes_on_where_nothing_can_be_kept(lake: Lake) -> None:
    assert isinstance(lake.root, Path)
    lake.root.mkdir()
    (lake.root / "_unfinished").touch()  # a file where the folder should be
    with open_journal(lake, CodesRow, "shard") as nowhere:
        nowhere.add([codes("a")])
        assert nowhere.rows == []


def test_forgetting_removes_every_journal(lake: Lake) -> None:
    _interrupt(lake, [codes("a")])
    forget_unfinished(lake)
    with open_journal(lake, CodesRow, "shard") as journal:
        assert journal.rows == []
