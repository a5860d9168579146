"""Reading by blocks of which copies are kept; a folder stands for the store here."""

import os
from pathlib import Path

import pyarrow.fs as pafs
import pytest

from warehouse.lake.block_cache import CachedFile, CachedObject

BLOCK = 1 << 20
CONTENT = os.urandom(3 * BLOCK + 5)


@pytest.fixture
def stored(tmp_path: Path) -> CachedObject:
    (tmp_path / "object").write_bytes(CONTENT)
    return CachedObject(pafs.LocalFileSystem(), str(tmp_path / "object"), tmp_path / "cache")


def _blocks(source: CachedObject) -> set[str]:
    return {path.name for path in source.folder.iterdir()} - {"size"}


@pytest.mark.parametrize(
    ("start", "length"), [(0, 10), (len(CONTENT) - 8, 8), (BLOCK - 3, 9), (5, 2 * BLOCK), (BLOCK, BLOCK)]
)
def test_any_range_is_what_the_object_has_there(stored: CachedObject, start: int, length: int) -> None:
    assert stored.read(start, start + length) == CONTENT[start : start + length]


def test_only_the_blocks_that_are_wanted_are_fetched(stored: CachedObject) -> None:
    stored.read(BLOCK + 1, BLOCK + 2)
    stored.read(len(CONTENT) - 1, len(CONTENT))
    assert _blocks(stored) == {"1", "3"}


def test_what_was_read_once_is_read_from_the_copies(stored: CachedObject) -> None:
    stored.read(0, BLOCK + 1)
    Path(stored.key).unlink()
    assert stored.read(7, BLOCK + 9) == CONTENT[7 : BLOCK + 9]
    assert stored.size() == len(CONTENT)
    with pytest.raises(OSError):
        stored.read(0, 2 * BLOCK + 1)


def test_what_this_process_wrote_is_there_without_reading(stored: CachedObject) -> None:
    Path(stored.key).unlink()
    stored.keep(CONTENT)
    assert stored.read(0, len(CONTENT)) == CONTENT


def test_a_file_over_it_seeks_and_ends_as_any_file(stored: CachedObject) -> None:
    with CachedFile(stored) as file:
        assert file.seek(-5, os.SEEK_END) == len(CONTENT) - 5
        assert file.read() == CONTENT[-5:] and file.read(4) == b""
        file.seek(BLOCK - 2)
        file.seek(1, os.SEEK_CUR)
        assert file.read(2) == CONTENT[BLOCK - 1 : BLOCK + 1] and file.tell() == BLOCK + 1
    with pytest.raises(FileNotFoundError):
        CachedFile(CachedObject(stored.client, stored.key + "-2", stored.folder / "2"))
