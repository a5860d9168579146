"""A station: the Prefect server and the workers of one machine, in a folder below the data root.

This module imports next to nothing, because the keeper of a station lives as long as the station does.
"""

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

POOLS = ("cpu", "gpu", "train")
HEARTBEAT_SECONDS = 30
"""How often a flow run says that it lives: the shortest time that Prefect allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """Where one machine's Prefect lives and listens. `home` holds its database, logs and lock."""

    home: Path
    data: Path
    host: str
    port: int

    @property
    def url(self) -> str:
        """The UI."""
        return f"http://{'127.0.0.1' if self.host == '0.0.0.0' else self.host}:{self.port}"

    @property
    def api_url(self) -> str:
        """The API."""
        return f"{self.url}/api"

    @property
    def logs(self) -> Path:
        """One log file per process."""
        return self.home / "logs"

    @property
    def services(self) -> Path:
        """What the keeper keeps: a JSON file from names to process ids."""
        return self.home / "services.json"

    def environment(self) -> dict[str, str]:
        """The environment of server and workers, and so of every flow run."""
        ours = {
            "PREFECT_HOME": str(self.home),
            "PREFECT_API_URL": self.api_url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            # A hundred nights in advance are a hundred rows in every list of runs.
            "PREFECT_SERVER_SERVICES_SCHEDULER_MAX_RUNS": "3",
            "PREFECT_SERVER_SERVICES_SCHEDULER_MIN_RUNS": "2",
            # Kept in memory, a run that begins while the server starts again loses its place and is cancelled.
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
            # A run that is being cancelled and whose worker is gone; the worker itself takes seconds.
            "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_CANCELLING_TIMEOUT_SECONDS": "120",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
            "VALLE_DATA": str(self.data),
            "VALLE_STATION": str(self.home),
            "PWD": str(checkout()),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        }
        return os.environ | ours

    def save(self) -> None:
        """Remember where it listens."""
        write_json(self.home / "station.json", {"data": str(self.data), "host": self.host, "port": self.port})

    def running(self) -> dict[str, int]:
        """Process ids by name; empty when nothing is kept."""
        if keeper_of(self.home) is None:
            return {}
        try:
            found: dict[str, int] = json.loads(self.services.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found


def checkout() -> Path:
    """The folder that holds `prefect.yaml`, in which deployments run."""
    return Path(__file__).parents[2]


def home_of(data: Path) -> Path:
    """The folder of a data root's station."""
    return data / "prefect"


def load_station(data: Path) -> Station | None:
    """The station that was last started below `data`; None when there has been none."""
    home = home_of(data)
    try:
        content = json.loads((home / "station.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return Station(home=home, data=Path(content["data"]), host=content["host"], port=content["port"])


@contextmanager
def keeping(home: Path) -> Iterator[None]:
    """Hold the lock of a station, which ends with the process however that ends. Raises BlockingIOError when taken."""
    with (home / "keeper.lock").open("a+", encoding="utf-8") as file:
        _lock(file.fileno())
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _lock(descriptor: int) -> None:
    deadline = time.monotonic() + 2.0  # whoever asks for the keeper holds the lock for a moment
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def keeper_of(home: Path) -> int | None:
    """The process that keeps a station, or None."""
    try:
        with (home / "keeper.lock").open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read() or 0) or None
    except FileNotFoundError:
        pass
    return None


def write_json(path: Path, content: object) -> None:
    """Write a file that is complete whenever it is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")
    temporary.replace(path)
