"""`python -m flows.server.supervisor DATA`: keeps the server and the workers of a station running until SIGTERM.

What dies is started again, after a pause that doubles while it keeps dying. What it started is tethered to it, so that
nothing outlives a keeper that is killed. This module does not import Prefect.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from flows.runtime.parent_death import tethered_command, tethered_environment
from flows.server.local_server import POOLS, Station, checkout, keeping, load_station, write_json
from warehouse.errors import ConfigurationError

_LOG = logging.getLogger("keeper")
_LONGEST_PAUSE = 30.0
_SECONDS_TO_FINISH = 40.0
"""A worker gives the flows that it ends 30 seconds."""


@dataclass(slots=True)
class _Service:
    """One process that is kept."""

    name: str
    module: str
    arguments: list[str]
    process: "subprocess.Popen[bytes] | None" = None
    pause: float = 1.0
    not_before: float = 0.0
    started: float = field(default=0.0)

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Keeper:
    """Starts, restarts and ends the processes of one station."""

    def __init__(self, station: Station) -> None:
        self.station = station
        self.stop = threading.Event()
        listen = ["start", "--host", station.host, "--port", str(station.port)]
        self.server = _Service("server", "flows.server.prefect_server", listen)
        self.workers = [
            _Service(
                f"worker {pool}",
                "prefect",
                ["worker", "start", "--pool", pool, "--type", "process", "--name", f"{os.uname().nodename} {pool}"],
            )
            for pool in POOLS
        ]

    def run(self) -> None:
        """Keep everything running until `stop` is set, then end it."""
        try:
            while not self.stop.is_set():
                self._keep(self.server)
                if self._answers():
                    for worker in self.workers:
                        self._keep(worker)
                self.stop.wait(1.0)
        finally:
            self._end(self.workers)
            self._end([self.server])
            self.station.services.unlink(missing_ok=True)

    def _keep(self, service: _Service) -> None:
        if service.is_alive():
            if time.monotonic() - service.started > 2 * _LONGEST_PAUSE:
                service.pause = 1.0
            return
        if service.process is not None and service.not_before == 0.0:
            _LOG.warning("%s ended with code %s; starting it in %g s", service.name, service.process.returncode,
                         service.pause)  # fmt: skip
            service.not_before = time.monotonic() + service.pause
            service.pause = min(2 * service.pause, _LONGEST_PAUSE)
        if time.monotonic() < service.not_before:
            return
        self._start(service)

    def _start(self, service: _Service) -> None:
        log = self.station.logs / f"{service.name.replace(' ', '-')}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as stream:
            service.process = subprocess.Popen(
                tethered_command(service.module, service.arguments),
                cwd=checkout(),
                env=tethered_environment() | self.station.environment(),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        service.started, service.not_before = time.monotonic(), 0.0
        _LOG.info("%s runs as process %d", service.name, service.process.pid)
        kept = {one.name: one.process.pid for one in (self.server, *self.workers) if one.process and one.is_alive()}
        write_json(self.station.services, kept)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.station.api_url}/health", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def _end(self, services: list[_Service]) -> None:
        alive = [service.process for service in services if service.process is not None and service.is_alive()]
        for process in alive:
            process.terminate()
        deadline = time.monotonic() + _SECONDS_TO_FINISH
        for process in alive:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _LOG.warning("process %d does not end; killing it", process.pid)
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def main(data: Path) -> None:
    """Keep the station of a data root."""
    station = load_station(data)
    if station is None:
        raise ConfigurationError(f"There is no station below {data}; start one with `valle up`.")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    keeper = Keeper(station)

    def end(number: int, frame: FrameType | None) -> None:
        keeper.stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    with keeping(station.home):
        keeper.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
