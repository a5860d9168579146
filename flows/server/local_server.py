"""The local server: the Prefect server and workers of `valle up`, in a folder below the data root.

Import little here: the supervisor imports this module and runs as long as the local server does.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from flows.server.password import read_password
from warehouse.errors import ConfigurationError
from warehouse.files import atomic_write

POOLS = ("cpu", "gpu", "train")
HEARTBEAT_SECONDS = 30
"""Interval of the heartbeats of a flow run: the shortest that Prefect allows."""
# A process that only asks who holds the lock holds it for a moment.
_SECONDS_TO_LOCK = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalServer:
    """Address, data root and settings of a local server.

    `names` are further host names by which browsers and workers reach it. `allow_commands` lets runs of deployments
    start the commands that their parameters name.
    """

    data: Path
    host: str
    port: int
    names: tuple[str, ...] = ()
    allow_commands: bool = False

    @property
    def home(self) -> Path:
        """Folder of its database, logs, locks and password."""
        return home_of(self.data)

    @property
    def url(self) -> str:
        """Address of the UI."""
        return f"http://{'127.0.0.1' if self.host == '0.0.0.0' else self.host}:{self.port}"

    @property
    def api_url(self) -> str:
        """Address of the API."""
        return f"{self.url}/api"

    @property
    def origins(self) -> tuple[str, ...]:
        """Origins of the pages that may use the API: those that the server itself delivers."""
        own = [f"http://{name}:{self.port}" for name in ("localhost", *self.names)]
        return tuple(dict.fromkeys([self.url, *own]))

    @property
    def logs(self) -> Path:
        """Folder with one log file per process."""
        return self.home / "logs"

    @property
    def services(self) -> Path:
        """File of the supervisor: a JSON object from names to process ids."""
        return self.home / "services.json"

    def environment(self) -> dict[str, str]:
        """Return the environment of the server and the workers, and so of every flow run."""
        password = read_password(self.home)
        settings = {
            "PREFECT_HOME": str(self.home),
            "PREFECT_API_URL": self.api_url,
            "PREFECT_API_AUTH_STRING": password,
            "PREFECT_SERVER_API_AUTH_STRING": password,
            "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(self.origins),
            # Prefect reports usage to its makers, from the server and from its clients.
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            # By default Prefect schedules a hundred nights in advance: a hundred rows in every list of runs.
            "PREFECT_SERVER_SERVICES_SCHEDULER_MAX_RUNS": "3",
            "PREFECT_SERVER_SERVICES_SCHEDULER_MIN_RUNS": "2",
            # With leases in memory, a run that starts while the server restarts loses its slot and is cancelled.
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
            # For a cancelled run without a worker; a worker needs seconds.
            "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_CANCELLING_TIMEOUT_SECONDS": "120",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
            "VALLE_DATA": str(self.data),
            "VALLE_LOCAL_SERVER": str(self.home),
            "VALLE_ALLOW_COMMANDS": "1" if self.allow_commands else "0",
            "PWD": str(checkout()),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        }
        return os.environ | settings

    def to_json(self) -> str:
        """Return the fields as one line of JSON."""
        return json.dumps(asdict(self) | {"data": str(self.data)})

    @classmethod
    def from_json(cls, text: str) -> "LocalServer":
        """Build a local server from `to_json`."""
        fields: dict[str, Any] = json.loads(text)
        return cls(**fields | {"data": Path(fields["data"]), "names": tuple(fields["names"])})

    def save(self) -> None:
        """Write the fields to the folder, for `load_local_server`."""
        write_json(self.home / "local_server.json", json.loads(self.to_json()))

    def running(self) -> dict[str, int]:
        """Return the process ids by name; empty without a supervisor."""
        if supervisor_pid(self.home) is None:
            return {}
        try:
            found: dict[str, int] = json.loads(self.services.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found


def checkout() -> Path:
    """Return the folder that holds the packages, in which deployments run: the checkout, or `site-packages`."""
    return Path(__file__).parents[2]


def home_of(data: Path) -> Path:
    """Return the folder of the local server of a data root."""
    return data / "prefect"


def load_local_server(data: Path) -> LocalServer | None:
    """Return the local server that was last started below `data`, or None."""
    try:
        saved = LocalServer.from_json((home_of(data) / "local_server.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    # The data root may have been moved since.
    return replace(saved, data=data)


@contextmanager
def supervisor_lock(home: Path) -> Iterator[None]:
    """Hold the lock of the supervisor; the kernel releases it when the process ends.

    Raises ConfigurationError when another process holds it.
    """
    home.mkdir(parents=True, exist_ok=True)
    try:
        with _lock(home).acquire(timeout=_SECONDS_TO_LOCK):
            # Beside the lock file, which every process that asks for the lock truncates.
            write_json(home / "supervisor.json", os.getpid())
            yield
    except Timeout as error:
        raise ConfigurationError(f"Another supervisor runs the local server in {home}.") from error


def supervisor_pid(home: Path) -> int | None:
    """Return the process id of the supervisor, or None when none runs."""
    # Asking for the lock would create its file, and the folder belongs to `valle up`.
    if not home.is_dir():
        return None
    try:
        with _lock(home).acquire(timeout=0):
            return None
    except Timeout:
        return _read_pid(home)


def _lock(home: Path) -> FileLock:
    return FileLock(home / "supervisor.lock")


def _read_pid(home: Path) -> int | None:
    try:
        return int(json.loads((home / "supervisor.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_json(path: Path, content: object) -> None:
    """Write a JSON file under a temporary name and rename it: a file that exists is complete."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")
