"""A file that is written atomically exists whole or not at all."""

import errno
import multiprocessing
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from warehouse.errors import StorageError
from warehouse.files import atomic_write


def test_the_new_content_replaces_the_old_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "note.json"
    for text in ("one", "two"):
        with atomic_write(path) as temporary:
            assert temporary.parent == path.parent and temporary.suffix == ".json"
            temporary.write_text(text)
    assert path.read_text() == "two"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_of_the_body_keeps_the_old_content_and_removes_the_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "note"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_write(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@contextmanager
def _full_disk(size: int) -> Iterator[None]:
    """Let no file grow beyond `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_one_sentence_that_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    full = pytest.raises(StorageError, match=r"large\.bin: .*; free space, then run")
    with _full_disk(1000), full as caught, atomic_write(path) as temporary:
        temporary.write_bytes(bytes(5000))
    assert isinstance(caught.value.__cause__, OSError)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match="make the folder writable"), atomic_write(tmp_path / "file" / "x"):
        pass


def test_an_error_that_concerns_another_file_is_raised_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, atomic_write(tmp_path / "x"):
        (tmp_path / "input").read_text()
    assert caught.value.errno == errno.ENOENT


def _write_forever(path: str) -> None:
    while True:
        with atomic_write(Path(path)) as temporary:
            temporary.write_bytes(os.urandom(1) * 200_000)


def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "content.bin"
    for _ in range(3):
        writer = multiprocessing.get_context("fork").Process(target=_write_forever, args=(str(path),))
        writer.start()
        while not path.exists():
            assert writer.is_alive()
        writer.kill()
        writer.join()
        content = path.read_bytes()
        assert len(content) == 200_000 and len(set(content)) == 1


def test_the_log_that_a_database_leaves_beside_its_file_is_removed(tmp_path: Path) -> None:
    with pytest.raises(StorageError), atomic_write(tmp_path / "answers.duckdb") as temporary:
        temporary.touch()
        temporary.with_name(f"{temporary.name}.wal").touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not list(tmp_path.iterdir())
