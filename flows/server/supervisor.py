"""`python -m flows.server.supervisor LOCAL_SERVER_AS_JSON`: run server and workers until SIGTERM.

A process that ends is started again, after a pause that doubles while it keeps ending. Parent-death signals end the
processes if the supervisor is killed. Do not import Prefect here.
"""

import logging
import os
import platform
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass
from types import FrameType

from flows.runtime.parent_death import dependent_command, dependent_environment
from flows.server.local_server import POOLS, LocalServer, checkout, supervisor_lock, write_json
from warehouse.errors import ConfigurationError

_LOG = logging.getLogger("supervisor")
# A service that ends at once, for instance for a port in use, is restarted after pauses that double up to this.
_LONGEST_PAUSE = 30.0
# A worker gives its flows 30 seconds to end.
_SECONDS_TO_FINISH = 40.0


@dataclass(slots=True)
class _Service:
    """One supervised process."""

    name: str
    module: str
    arguments: list[str]
    process: "subprocess.Popen[bytes] | None" = None
    pause: float = 1.0
    not_before: float = 0.0
    started: float = 0.0

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """Start, restart and end the processes of one local server."""

    def __init__(self, server: LocalServer) -> None:
        self.stop = threading.Event()
        self._server = server
        # Read once: a password file that is deleted later does not end the server.
        self._environment = server.environment()
        names = [argument for name in server.names for argument in ("--allow-host", name)]
        listen = ["--host", server.host, "--port", str(server.port), *names]
        self._api = _Service("server", "flows.server.prefect_server", listen)
        self._workers = [_worker(pool) for pool in POOLS]

    def run(self) -> None:
        """Supervise until `stop` is set, then end everything."""
        try:
            while not self.stop.is_set():
                self._keep_alive(self._api)
                # While the server restarts, another program may answer on its port.
                if self._api.is_alive() and self._answers():
                    for worker in self._workers:
                        self._keep_alive(worker)
                self.stop.wait(1.0)
        finally:
            # Workers first: they report the end of their runs to the server.
            _end(self._workers)
            _end([self._api])
            self._server.services.unlink(missing_ok=True)

    def _keep_alive(self, service: _Service) -> None:
        if service.is_alive():
            # A service that lives this long has recovered; its next failure is a new one.
            if time.monotonic() - service.started > 2 * _LONGEST_PAUSE:
                service.pause = 1.0
            return
        if service.process is not None and service.not_before == 0.0:
            code = service.process.returncode
            _LOG.warning("%s ended with code %s; starting it again in %g s", service.name, code, service.pause)
            service.not_before = time.monotonic() + service.pause
            service.pause = min(2 * service.pause, _LONGEST_PAUSE)
        if time.monotonic() >= service.not_before:
            self._start(service)

    def _start(self, service: _Service) -> None:
        log = self._server.logs / f"{service.name.replace(' ', '-')}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as stream:
            service.process = subprocess.Popen(
                dependent_command(service.module, service.arguments),
                cwd=checkout(),
                env=dependent_environment() | self._environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group per service, for `killpg`
            )
        service.started, service.not_before = time.monotonic(), 0.0
        _LOG.info("%s runs as process %d", service.name, service.process.pid)
        services = (self._api, *self._workers)
        alive = {item.name: item.process.pid for item in services if item.process is not None and item.is_alive()}
        write_json(self._server.services, alive)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._server.api_url}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def _worker(pool: str) -> _Service:
    name = f"{platform.node()} {pool}"
    return _Service(
        f"worker {pool}", "prefect", ["worker", "start", "--pool", pool, "--type", "process", "--name", name]
    )


def _end(services: list[_Service]) -> None:
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


def main(description: str) -> int:
    """Run the local server of `LocalServer.to_json`; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    server = LocalServer.from_json(description)
    supervisor = Supervisor(server)

    def end(number: int, frame: FrameType | None) -> None:
        supervisor.stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    try:
        with supervisor_lock(server.home):
            # Only the holder of the lock saves, so the file describes the server that runs.
            server.save()
            supervisor.run()
    except ConfigurationError as error:
        _LOG.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
