"""`valle up` and `valle down`: start and end the local server with its workers and deployments."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import FileLock, Timeout
from prefect.client.orchestration import SyncPrefectClient

from flows.server.deploy import SECONDS_TO_ANSWER, create_automations, create_work_pools, deploy_flows
from flows.server.forms import find_choices, update_forms
from flows.server.local_server import POOLS, LocalServer, checkout, home_of, load_local_server, supervisor_pid
from flows.server.options import UpOptions
from flows.server.password import create_password, read_password
from flows.server.schedules import apply_schedules, read_schedules
from valle.data_root import open_data_root
from warehouse.errors import ConfigurationError, DependencyError

# A first start creates Prefect's database and every deployment: minutes on a busy machine.
_SECONDS_TO_START = 600.0
_SECONDS_TO_END = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Up:
    """The running local server; `was_up` tells whether it ran before."""

    server: LocalServer
    was_up: bool
    deployments: tuple[str, ...]
    processes: dict[str, int]

    def describe(self) -> str:
        """Return the text that `valle up` prints."""
        server = self.server
        lines = [f"{'already up' if self.was_up else 'up'}: {server.url}"]
        lines += [f"  {name:14} process {pid}" for name, pid in self.processes.items()]
        lines += [
            f"  deployments    {len(self.deployments)} of prefect.yaml: {', '.join(self.deployments)}",
            f"  data           {server.data}",
            f"  logs           {server.logs}",
            f"  password       valle up --data {server.data} --show-password",
            f"  from a shell   export PREFECT_API_URL={server.api_url}",
            f"  to end it      valle down --data {server.data}",
        ]
        return "\n".join(lines)


def bring_up(options: UpOptions) -> Up:
    """Start the local server if it does not run, and create pools, automations and deployments. Safe to repeat.

    Raises ConfigurationError when the port is occupied or the local server runs with other options, DependencyError
    when the server does not start.
    """
    server = options.local_server
    server.home.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(server.home):
        password = create_password(server.home)
        was_up = supervisor_pid(server.home) is not None
        if was_up:
            _require_same(server)
        else:
            _require_free(server.host, server.port)
            _start_supervisor(server)
        _wait_for_server(server)
        settings = {"timeout": SECONDS_TO_ANSWER}
        with SyncPrefectClient(server.api_url, auth_string=password, httpx_settings=settings) as client:
            create_work_pools(client, options.limits)
            create_automations(client)
            names = deploy_flows(server.environment(), server.logs / "deploy.log")
            apply_schedules(client, read_schedules(server.data))
            update_forms(client, find_choices(open_data_root(server.data)))
            _wait_for_workers(client, server)
    return Up(server=server, was_up=was_up, deployments=names, processes=server.running())


def bring_down(data: Path) -> int:
    """End the supervisor of a data root and all of its processes; return how many were ended."""
    home = home_of(data)
    ended = 0
    supervisor = supervisor_pid(home)
    if supervisor is not None:
        ended += 1 + len(psutil.Process(supervisor).children(recursive=True))
        os.kill(supervisor, signal.SIGTERM)
        deadline = time.monotonic() + _SECONDS_TO_END
        while supervisor_pid(home) is not None and time.monotonic() < deadline:
            time.sleep(0.2)
    # Parent-death signals need Linux, and a flow may ignore SIGTERM.
    left = list(remaining_processes(home))
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=10)
    return ended + (len(left) if supervisor is None else 0)


def show_password(options: UpOptions) -> str:
    """Return the password of the local server of a data root. Raises ConfigurationError when there is none."""
    return read_password(home_of(options.data_root.root))


def remaining_processes(home: Path) -> Iterator[psutil.Process]:
    """Yield the processes of a local server: each inherits the folder in its environment."""
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("VALLE_LOCAL_SERVER") == str(home):
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue


@contextmanager
def _one_at_a_time(home: Path) -> Iterator[None]:
    """Hold the lock of `valle up`; a second one waits for the first."""
    lock = FileLock(home / "up.lock")
    try:
        lock.acquire(timeout=2 * _SECONDS_TO_START)
    except Timeout as error:
        raise DependencyError(f"Another `valle up` holds {lock.lock_file} and does not end.") from error
    try:
        yield
    finally:
        lock.release()


def _require_same(server: LocalServer) -> None:
    running = load_local_server(server.data)
    if running is not None and running != server:
        what = f"at {running.url}" if running.url != server.url else "with other options"
        raise ConfigurationError(
            f"The local server of {server.data} is up {what}; end it with `valle down --data {server.data}` first."
        )


def _require_free(host: str, port: int) -> None:
    with socket.socket() as probe:
        # As the server does: connections of a previous server that are still closing do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"Cannot listen on {host}:{port}: {error.strerror}; choose another --port."
            ) from error


def _start_supervisor(server: LocalServer) -> None:
    log = server.logs / "supervisor.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.server.supervisor", server.to_json()],
            cwd=checkout(),
            env=server.environment(),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in this shell must not reach it
        )
    deadline = time.monotonic() + _SECONDS_TO_START
    # It saves its description under its lock, so both together show that it runs with these options.
    while supervisor_pid(server.home) is None or load_local_server(server.data) != server:
        if process.poll() is not None or time.monotonic() > deadline:
            raise DependencyError(f"The supervisor did not start; its log is {log}.")
        time.sleep(0.1)


def _wait_for_server(server: LocalServer) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    with SyncPrefectClient(server.api_url) as client:
        # The health check needs no password.
        while client.api_healthcheck() is not None:
            if time.monotonic() > deadline or supervisor_pid(server.home) is None:
                raise DependencyError(f"The server does not answer at {server.api_url}; its log is in {server.logs}.")
            time.sleep(0.5)


def _wait_for_workers(client: SyncPrefectClient, server: LocalServer) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    for pool in POOLS:
        while not any(worker.status == "ONLINE" for worker in client.read_workers_for_work_pool(pool)):
            if time.monotonic() > deadline:
                raise DependencyError(f"No worker polls the pool {pool}; the logs are in {server.logs}.")
            time.sleep(0.5)
