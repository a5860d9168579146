"""`valle up` and `valle down`: everything that Prefect needs on one machine, started and ended in one go."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from prefect.client.orchestration import SyncPrefectClient

from flows.server.deploy import register_automations, register_deployments, register_pools
from flows.server.local_server import POOLS, Station, checkout, home_of, keeper_of, load_station
from flows.server.options import UpOptions
from warehouse.errors import ConfigurationError, DependencyError

_SECONDS_TO_START = 600.0
_SECONDS_TO_END = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Up:
    """What runs, and whether it ran before."""

    station: Station
    was_up: bool
    deployments: tuple[str, ...]
    processes: dict[str, int]

    def describe(self) -> str:
        """What the command line prints."""
        station = self.station
        lines = [f"{'is up already' if self.was_up else 'up'}: {station.url}"]
        lines += [f"  {name:14} process {pid}" for name, pid in self.processes.items()]
        lines += [
            f"  deployments    {len(self.deployments)} of prefect.yaml: {', '.join(self.deployments)}",
            f"  data           {station.data}",
            f"  logs           {station.logs}",
            f"  from a shell   export PREFECT_API_URL={station.api_url}",
            f"  end it         valle down --data {station.data}",
        ]
        return "\n".join(lines)


def bring_up(options: UpOptions) -> Up:
    """Start what does not run, and register pools, automations and deployments. Safe to repeat.

    Raises ConfigurationError when the port is taken or another one is in use, DependencyError when nothing starts.
    """
    data = options.data_root.root
    station = Station(home=home_of(data), data=data, host=options.host, port=options.port)
    was_up = keeper_of(station.home) is not None
    if was_up:
        known = load_station(data)
        if known is not None and known != station:
            raise ConfigurationError(
                f"The station of {data} is up at {known.url}; end it with `valle down --data {data}` first."
            )
    else:
        _require_free(options.host, options.port)
        station.save()
        _start_keeper(station)
    _wait_for_server(station)
    with SyncPrefectClient(station.api_url) as client:
        register_pools(client, options.limits)
        register_automations(client)
        names = register_deployments(station.environment(), station.logs / "deploy.log")
        _wait_for_workers(client, station)
    return Up(station=station, was_up=was_up, deployments=names, processes=station.running())


def bring_down(data: Path) -> int:
    """End the keeper of a data root and whatever it left; the number of processes that were ended."""
    home = home_of(data)
    ended = 0
    keeper = keeper_of(home)
    if keeper is not None:
        ended += 1 + len(psutil.Process(keeper).children(recursive=True))
        os.kill(keeper, signal.SIGTERM)
        deadline = time.monotonic() + _SECONDS_TO_END
        while keeper_of(home) is not None and time.monotonic() < deadline:
            time.sleep(0.2)
    left = list(left_behind(home))
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=10)
    return ended + (len(left) if keeper is None else 0)


def left_behind(home: Path) -> Iterator[psutil.Process]:
    """Processes that belong to a station: everything it starts inherits the folder in its environment."""
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("VALLE_STATION") == str(home):
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue


def _require_free(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"Cannot listen on {host}:{port}: {error.strerror}; choose another --port."
            ) from error


def _start_keeper(station: Station) -> None:
    log = station.logs / "keeper.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        subprocess.Popen(
            [sys.executable, "-m", "flows.server.supervisor", str(station.data)],
            cwd=checkout(),
            env=station.environment(),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_for_server(station: Station) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    with SyncPrefectClient(station.api_url) as client:
        while client.api_healthcheck() is not None:
            if time.monotonic() > deadline:
                raise DependencyError(f"The server does not answer at {station.api_url}; its log is in {station.logs}.")
            time.sleep(0.5)


def _wait_for_workers(client: SyncPrefectClient, station: Station) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    for pool in POOLS:
        while not any(worker.status == "ONLINE" for worker in client.read_workers_for_work_pool(pool)):
            if time.monotonic() > deadline:
                raise DependencyError(f"No worker polls the pool {pool}; their logs are in {station.logs}.")
            time.sleep(0.5)
