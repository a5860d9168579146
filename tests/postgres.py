"""A throw-away PostgreSQL for tests, of the programs that are installed here."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

PASSWORD = "secret"


def programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`, None where PostgreSQL is not installed; Debian keeps it off the PATH."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return debian[-1].parent if debian else None


@contextmanager
def throwaway_postgres(port: int) -> Iterator[None]:
    """An empty database `prefect` of the user `prefect` at 127.0.0.1:`port`."""
    folder = programs()
    assert folder is not None
    with TemporaryDirectory(prefix="valle-postgres-") as home:
        if os.geteuid() == 0:
            shutil.chown(home, "postgres")
        word, data = Path(home) / "word", Path(home) / "data"
        word.write_text(PASSWORD + "\n", encoding="utf-8")
        word.chmod(0o644)
        _run([folder / "initdb", "-D", data, "-U", "prefect", "-A", "scram-sha-256", "--pwfile", word])
        control = [folder / "pg_ctl", "-D", data, "-w", "-l", Path(home) / "log"]
        _run([*control, "-o", f"-p {port} -k {home} -c listen_addresses=127.0.0.1 -c fsync=off", "start"])
        try:
            ask("CREATE DATABASE prefect", port=port, database="postgres")
            yield
        finally:
            _run([*control, "-m", "immediate", "stop"])


def ask(query: str, *, port: int, database: str = "prefect") -> str:
    """The answer of `psql` to one query, without head and frame."""
    command = ["psql", "-h", "127.0.0.1", "-p", str(port), "-U", "prefect", "-d", database, "-tAc", query]
    environment = os.environ | {"PGPASSWORD": PASSWORD}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return told.stdout.strip()


def _run(command: Sequence[str | Path]) -> None:
    # PostgreSQL refuses to be run by root.
    as_whom = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    # Its server inherits what is given as output, so nothing here may wait for a pipe to end.
    subprocess.run([*as_whom, *map(str, command)], cwd="/", stdout=subprocess.DEVNULL, check=True, timeout=120)
