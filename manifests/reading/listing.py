"""List a folder tree in sorted order, one folder in memory at a time."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from manifests.corpus import Source, identify
from warehouse.errors import ManifestError


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file below the root: its path, and its path below the root with forward slashes."""

    path: str
    relative_path: str


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder to list; `is_linked` when its path goes through a link."""

    path: str
    relative_path: str
    is_linked: bool


def require_folder(root: Path, corpus: str) -> None:
    """Raise ManifestError when the root of a corpus is not a folder."""
    if not root.is_dir():
        raise ManifestError(f"The root of corpus {corpus!r} is not a folder: {root}; give the folder that holds it.")


def walk(root: Path, suffixes: frozenset[str]) -> Iterator[FoundFile]:
    """Yield the files below `root` whose lower-case suffix is in `suffixes`, sorted folder by folder.

    Hidden names are skipped. Links are followed, but each real folder is listed once, under its own name where that
    is below the root. A folder that cannot be listed is yielded like a file, so that reading it makes a dropped row;
    a link that cannot be resolved is a file like any other.
    """
    links = _LinkedFolders(root)
    start = _Folder(str(root.absolute()), "", is_linked=False)
    # Open folders, outermost first: a tree may be deeper than Python's stack.
    stack: list[Iterator[_Folder | FoundFile]] = [iter((start,))]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
        elif isinstance(entry, FoundFile):
            yield entry
        elif not entry.is_linked or links.enter(entry.path):
            try:
                stack.append(iter(_entries(entry, suffixes)))
            except OSError:
                yield FoundFile(entry.path, entry.relative_path.rstrip("/"))


def _entries(folder: _Folder, suffixes: frozenset[str]) -> list[_Folder | FoundFile]:
    """Return the folders and matching files of one folder, sorted by name. Raises OSError."""
    found: list[tuple[str, _Folder | FoundFile]] = []
    with os.scandir(folder.path) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path, relative = f"{folder.path}/{entry.name}", f"{folder.relative_path}{entry.name}"
            if _is_folder(entry):
                is_linked = folder.is_linked or entry.is_symlink()
                found.append((entry.name, _Folder(path, f"{relative}/", is_linked)))
            elif os.path.splitext(entry.name)[1].lower() in suffixes:  # noqa: PTH122 - plain strings
                found.append((entry.name, FoundFile(path, relative)))
    return [entry for _, entry in sorted(found, key=lambda pair: pair[0])]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # A link that points at itself, or into a folder that may not be searched.
        return False


class _LinkedFolders:
    """The real folders that were reached through links; only these can be met twice."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.realpath(root)
        self._seen: set[tuple[int, int]] = set()

    def enter(self, path: str) -> bool:
        """Return whether a folder behind a link is to be listed: it was not yet, and will not be by its own name."""
        if self._has_own_name(os.path.realpath(path)):
            return False
        try:
            status = os.stat(path)  # noqa: PTH116 - plain strings
        except OSError:
            return True
        identity = (status.st_dev, status.st_ino)
        is_new = identity not in self._seen
        self._seen.add(identity)
        return is_new

    def _has_own_name(self, real: str) -> bool:
        """Return whether a real path is below the root without a hidden name in it."""
        if real == self._root:
            return True
        below = real.removeprefix(f"{self._root.rstrip('/')}/")
        return below != real and not any(name.startswith(".") for name in below.split("/"))


def printable(path: str) -> str:
    """Return `path` as text for any table: bytes that are not UTF-8 are written as `\\xNN`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def file_source(found: FoundFile, *sidecars: str) -> Source:
    """Return the source of a plain file; its etag covers size and modification time of the file and its sidecars."""
    size, stamp = _stamp(found.path)
    stamps = [stamp, *(_stamp(sidecar)[1] for sidecar in sidecars)]
    return Source(
        path=printable(found.path), relative_path=printable(found.relative_path), etag=identify(*stamps), size=size
    )


def _stamp(path: str) -> tuple[int, str]:
    try:
        status = os.stat(path)  # noqa: PTH116 - plain strings
    except OSError:
        return 0, "missing"
    return status.st_size, f"{status.st_size}@{status.st_mtime_ns}"
