"""The cached objects of a store as a file system, through which DuckDB reads them."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from fsspec import AbstractFileSystem

from warehouse.lake.block_cache import CachedFile, CachedObject


class CachedStore(AbstractFileSystem):
    """File system through which DuckDB reads `s3://`; `find` returns the cached object of a bucket and key."""

    protocol = "s3"
    cachable = False

    def __init__(self, find: Callable[[str], CachedObject]) -> None:
        super().__init__()
        self._find = find

    def info(self, path: str, **_: object) -> dict[str, object]:
        """Return name, size and kind of an object. Raises FileNotFoundError where there is none."""
        key = self._strip_protocol(path)
        return {"name": key, "size": self._find(key).size(), "type": "file"}

    def modified(self, path: str) -> datetime:
        """Return the same time for all: DuckDB asks whether an object has changed, and none ever does."""
        return datetime(2000, 1, 1, tzinfo=UTC)

    def glob(self, path: str, maxdepth: int | None = None, **_: object) -> Iterable[str]:
        """Return the path itself; the views name data files one by one."""
        return [self._strip_protocol(path)]

    def _open(self, path: str, mode: str = "rb", *_: object, **__: object) -> CachedFile:
        return CachedFile(self._find(self._strip_protocol(path)))
