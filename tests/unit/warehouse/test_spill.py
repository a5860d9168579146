import os
import subprocess
import sys
from pathlib import Path

import duckdb

from warehouse.catalogue.spill import limit_memory, remove_spilled


def test_what_does_not_fit_goes_below_the_folder_and_leaves_with_the_connection(tmp_path: Path) -> None:
    folder = tmp_path / "it's here"
    folder.mkdir()
    with duckdb.connect() as connection:
        limit_memory(connection, folder)
        connection.execute("SET memory_limit = '60MB'; SET threads = 1")
        connection.execute("CREATE TABLE t AS SELECT md5(i::VARCHAR) AS a FROM range(3000000) t(i)")
        assert any(folder.rglob("*.tmp"))
        assert connection.execute("SELECT count(a) FROM t").fetchall() == [(3_000_000,)]
    assert not list(folder.rglob("*.tmp"))


def test_only_the_folders_of_processes_that_are_gone_are_removed(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        limit_memory(connection, tmp_path)
        [(own,)] = connection.execute("SELECT current_setting('temp_directory')").fetchall()
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    other = Path(own.replace(str(os.getpid()), gone.stdout.strip()))
    foreign = tmp_path / "valle-spill-another.machine-1"
    for folder in (Path(own), other, foreign):
        folder.mkdir()
    remove_spilled(tmp_path)
    assert (Path(own).exists(), other.exists(), foreign.exists()) == (True, False, True)
