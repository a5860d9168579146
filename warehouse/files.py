"""Write a file so that it exists whole or not at all.

The content goes to a temporary name in the folder of the target, is flushed to the disk and then renamed, so that
neither a kill nor a full disk nor a power cut leaves half a file under the name that readers open.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from warehouse.errors import StorageError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def atomic_write(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path` to write to; rename it to `path` when the body ends without an error.

    The temporary name keeps the suffix of `path`, because some writers derive the format from it. Without `durable`
    the content is not flushed to the disk: for files that a power cut may lose. The folder of `path` is created.
    Raises StorageError when the disk is full or the folder cannot be written; the temporary file is removed.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        yield path  # A device or a pipe cannot be replaced.
        return
    with temporary_beside(path) as temporary:
        yield temporary
        publish(temporary, path, durable=durable)


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """Yield an unused name in the folder of `path` with its suffix; remove the file when the body ends.

    The folder is created. Raises StorageError for a full disk and for a folder that cannot be written.
    """
    temporary = path.with_name(f".{path.stem[:100]}.{os.getpid()}-{os.urandom(6).hex()}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_written(path, error) from error
    try:
        yield temporary
    except OSError as error:
        if is_full(error) or error.filename in (str(temporary), temporary):
            raise _not_written(path, error) from error
        raise  # The body failed to read something else.
    finally:
        # DuckDB leaves its log beside a file that it could not finish. The error of the body matters more than a file
        # that cannot be removed.
        for leftover in (temporary, temporary.with_name(f"{temporary.name}.wal")):
            with suppress(OSError):
                leftover.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of killed processes; call it only where no other process writes to the folder."""
    for leftover in folder.glob(".*.tmp*"):
        leftover.unlink(missing_ok=True)


def publish(temporary: Path, path: Path, *, durable: bool = True) -> None:
    """Rename `temporary` to `path` after flushing it to the disk, and flush the folder. Raises StorageError."""
    try:
        if durable:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
        if durable:
            _flush_folder(path.parent)
    except OSError as error:
        raise _not_written(path, error) from error


def is_full(error: OSError) -> bool:
    """Return True if the disk, a quota or the size limit of a file is exhausted, according to `error`."""
    return error.errno in _FULL


def _flush_folder(folder: Path) -> None:
    # A rename is durable once its folder is; only POSIX lets a program open one.
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _not_written(path: Path, error: OSError) -> StorageError:
    reason = os.strerror(error.errno) if error.errno is not None else str(error)
    advice = "free space" if is_full(error) else "make the folder writable"
    return StorageError(f"Could not write {path}: {reason}; {advice}, then run the same command again.")
