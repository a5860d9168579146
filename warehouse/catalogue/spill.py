"""Memory of a DuckDB connection: its limit, and the folder for what is beyond it.

A query takes an eighth of the memory of the machine, at least 2.6 GB, and then continues on the disk, which is slower.
Beside these buffers a process has up to 1.4 GB with ten million utterances: imports, metadata of data files, answers.
"""

import os
import shutil
import socket
from pathlib import Path
from tempfile import gettempdir

import duckdb

from warehouse.catalogue.literals import text_literal

_MEMORY_SHARE = 8
_LEAST_MEMORY = 2_600_000_000
_PREFIX = f"valle-spill-{socket.gethostname()}-"


def limit_memory(connection: duckdb.DuckDBPyConnection, folder: Path | None = None) -> None:
    """Limit the buffers of a connection; what is beyond goes below `folder`, by default that of temporary files."""
    connection.execute(f"SET memory_limit = '{max(_LEAST_MEMORY, _memory() // _MEMORY_SHARE)}B'")
    # By default an in-memory database spills into the current folder.
    spill = (folder or Path(gettempdir())) / f"{_PREFIX}{os.getpid()}"
    connection.execute(f"SET temp_directory = {text_literal(spill)}")


def _memory() -> int:
    """Return the bytes of memory of the machine, 0 where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 0


def remove_spilled(folder: Path) -> None:
    """Remove what processes of this machine that were killed have left below `folder`."""
    import psutil  # which a query does not wait for

    for left in folder.glob(f"{_PREFIX}*"):
        process = left.name.removeprefix(_PREFIX)
        if process.isdecimal() and not psutil.pid_exists(int(process)):
            shutil.rmtree(left, ignore_errors=True)
