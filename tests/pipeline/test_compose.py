"""The commands and variables of `docker-compose.yaml`, run on this machine in the order the file asks for, without
Docker: PostgreSQL, the server, the deployments, and a worker for each pool.
"""

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from flows.server.health import diagnose_prefect
from flows.server.local_server import checkout
from tests.local_server import free_port, start, wait_for_run
from tests.pipeline.prepared import rows_of, write_folder
from tests.postgres import PASSWORD, ask, programs, throwaway_postgres
from valle.data_root import DataRoot
from valle.doctor import OK
from warehouse.upkeep.fsck import fsck

pytestmark = [pytest.mark.machines, pytest.mark.skipif(programs() is None, reason="PostgreSQL is not installed")]

_SECONDS = 600.0
UI_PASSWORD = "valle:of-the-test"


class Compose:
    """The file with its variables filled in, and its machines' names and paths replaced by those of this machine."""

    def __init__(self, folder: Path, database: int, server: int) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.api_url = f"http://127.0.0.1:{server}/api"
        self.here = {
            "@database:5432/": f"@127.0.0.1:{database}/",
            "http://server:4200/": f"http://127.0.0.1:{server}/",
            "http://localhost:4200/": f"http://127.0.0.1:{server}/",
        }
        self.port = server
        self.services: dict[str, Any] = yaml.safe_load((checkout() / "docker-compose.yaml").read_text())["services"]

    def filled(self, text: str) -> str:
        """Fill in the variables of `text`, of which only passwords and port are set."""
        given = {"POSTGRES_PASSWORD": PASSWORD, "VALLE_PASSWORD": UI_PASSWORD, "PORT": str(self.port)}
        text = re.sub(
            r"\$\{(\w+)(?::([-?])([^}]*))?\}",
            lambda found: given.get(found[1], found[3] if found[2] == "-" else ""),
            text,
        )
        for there, here in self.here.items():
            text = text.replace(there, here)
        return str(self.data) if text == "/data" else text

    def environment(self, service: str) -> dict[str, str]:
        """Return the environment of the container, with a home of its own."""
        declared: Mapping[str, str | None] = self.services[service]["environment"]
        ours = {
            "PREFECT_HOME": str(self.folder / service),
            "PREFECT_SERVER_API_PORT": str(self.port),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "VALLE", "AWS"))}
        return kept | ours | {name: self.filled(value) for name, value in declared.items() if value is not None}

    def command(self, service: str) -> list[str]:
        """Return the command of the container."""
        return shlex.split(self.filled(self.services[service]["command"]))

    def healthy(self, service: str) -> bool:
        """Return True if the health check of a service succeeds."""
        kind, *check = self.services[service]["healthcheck"]["test"]
        assert kind == "CMD"
        command = [self.filled(word) for word in check]
        return subprocess.run(command, env=self.environment(service), capture_output=True).returncode == 0

    @contextmanager
    def running(self, service: str) -> Iterator[None]:
        """The process of a service, ended as a container is."""
        log = self.folder / f"{service}.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                self.command(service),
                cwd=checkout(),
                env=self.environment(service),
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        try:
            yield
            assert process.poll() is None, log.read_text()
        finally:
            process.terminate()
            process.wait(60)


def test_the_cluster_of_the_compose_file_prepares_a_corpus_on_postgresql(tmp_path: Path) -> None:
    database = free_port()
    compose = Compose(tmp_path, database, free_port())
    clips = write_folder(tmp_path / "clips", 2, per_voice=1)
    with throwaway_postgres(database), ExitStack() as cluster:
        cluster.enter_context(compose.running("server"))
        deadline = time.monotonic() + _SECONDS
        while not compose.healthy("server"):
            assert time.monotonic() < deadline, (tmp_path / "server.log").read_text()
            time.sleep(2.0)
        subprocess.run(compose.command("deploy"), cwd=checkout(), env=compose.environment("deploy"), check=True)
        for service in (name for name in compose.services if name.startswith("worker-")):
            cluster.enter_context(compose.running(service))
        client = cluster.enter_context(SyncPrefectClient(compose.api_url, auth_string=UI_PASSWORD))
        run = start(
            client,
            "prepare/prepare",
            {
                "corpus": {
                    "kind": "folder",
                    "root": str(clips),
                    "name": "clips",
                    "options": {"language": "en", "licence": "Apache-2.0", "shard_megabytes": 0.017},
                },
                "stages": {"transcribe": {"check_given": False}, "quality": {"scorers": []}},
                "workers": {"width": 2},
            },
        )
        ended = wait_for_run(client, run, _SECONDS)
        assert ended.state_name == "Completed", ended.state
        with temporary_settings(updates={PREFECT_API_URL: compose.api_url, PREFECT_API_AUTH_STRING: UI_PASSWORD}):
            found = list(diagnose_prefect(compose.data))
        assert [finding for finding in found if finding.status != OK] == []
        lake = DataRoot(compose.data).lake
        assert len(rows_of(lake, "codes")) >= 2
        assert fsck(lake).is_sound
        tasks = ask(
            f"SELECT state_name, count(*) > 6 FROM task_run WHERE flow_run_id = '{run}' GROUP BY 1", port=database
        )
        assert tasks == "Completed|t"
        assert ask("SELECT count(*) FROM events WHERE event LIKE 'prefect.task-run.%'", port=database) == "0"
        assert ask("SELECT count(*) > 0 FROM events WHERE event = 'valle.prepare.finished'", port=database) == "t"
