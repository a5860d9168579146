"""Open regular files only: a pipe would block for ever, and a device has no end."""

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path


class NotRegularFile(OSError):
    """A path that names a pipe, a socket or a device."""


class TooLarge(OSError):
    """A file that is larger than the caller reads."""


def open_regular(path: str) -> BufferedReader:
    """Open a regular file for reading.

    Raises NotRegularFile for a pipe, socket or device, and OSError as `open` does.
    """
    if "\0" in path:  # `stat` raises ValueError for it
        raise FileNotFoundError(errno.ENOENT, "no file has a null byte in its name", path)
    mode = os.stat(path).st_mode  # noqa: PTH116 - plain strings: a tree of millions of files
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise NotRegularFile(errno.EINVAL, "not a regular file", path)
    return Path(path).open("rb")


def read_limited(path: str, limit: int) -> bytes:
    """Return the content of a regular file of at most `limit` bytes.

    Raises TooLarge for a longer one, and OSError as `open_regular` does.
    """
    with open_regular(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise TooLarge(errno.EFBIG, f"larger than {limit} bytes", path)
    return content
