"""Listing a folder tree in sorted order, one folder in memory at a time."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from manifests.corpus import Source, identify
from warehouse.errors import ManifestError


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file below the root: where it is, and its path below the root with forward slashes."""

    path: str
    relative_path: str


def require_folder(root: Path, corpus: str) -> None:
    """Raise ManifestError when the root of a corpus is not a folder."""
    if not root.is_dir():
        raise ManifestError(f"The root of corpus {corpus!r} is not a folder: {root}; give the folder that holds it.")


def walk(root: Path, suffixes: frozenset[str]) -> Iterator[FoundFile]:
    """Files below `root` whose lower-case suffix is in `suffixes`, sorted folder by folder.

    Hidden names are skipped and links are followed, but never into a folder that is being walked already. A folder
    that cannot be listed is returned like a file, so that reading it makes a row that says so.
    """
    yield from _walk(str(root.absolute()), "", suffixes, frozenset())


def _walk(
    folder: str, relative: str, suffixes: frozenset[str], above: frozenset[tuple[int, int]]
) -> Iterator[FoundFile]:
    try:
        status = os.stat(folder)  # noqa: PTH116 - plain strings: a tree of millions of files
        with os.scandir(folder) as entries:
            found = sorted((entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith("."))
    except OSError:
        yield FoundFile(folder, relative)
        return
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    for name, is_folder in found:
        path, below = f"{folder}/{name}", f"{relative}{name}"
        if is_folder:
            yield from _walk(path, f"{below}/", suffixes, above | {here})
        elif os.path.splitext(name)[1].lower() in suffixes:  # noqa: PTH122
            yield FoundFile(path, below)


def printable(path: str) -> str:
    """`path` as text that any table can hold: bytes that are not UTF-8 are written as `\\xNN`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def file_source(found: FoundFile, *sidecars: str) -> Source:
    """The source of a plain file, with an etag over its own and its sidecars' size and modification time."""
    size, stamp = _stamp(found.path)
    stamps = [stamp, *(_stamp(sidecar)[1] for sidecar in sidecars)]
    return Source(
        path=printable(found.path), relative_path=printable(found.relative_path), etag=identify(*stamps), size=size
    )


def _stamp(path: str) -> tuple[int, str]:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return 0, "missing"
    return status.st_size, f"{status.st_size}@{status.st_mtime_ns}"
