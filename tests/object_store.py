"""An S3-compatible store for the tests: moto's server in a process of its own, with a bucket in it."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow.fs as pafs

BUCKET = "speech"
_SECONDS_TO_START = 180.0


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """A running server: the variables with which a process reaches its bucket, and the log of its requests."""

    variables: Mapping[str, str]
    log: Path

    def requests(self) -> list[str]:
        """Every request so far, such as `GET /speech/lake/codes/part-1.parquet`."""
        return re.findall(r'"([A-Z]+ \S+) HTTP', self.log.read_text(encoding="utf-8"))


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """Start the server with an empty cache for its objects, and end it."""
    with tempfile.TemporaryDirectory(prefix="valle-object-store-") as folder, _server(Path(folder) / "log") as endpoint:
        client = pafs.S3FileSystem(
            access_key="key",
            secret_key="secret",
            region="us-east-1",
            endpoint_override=endpoint,
            scheme="http",
            allow_bucket_creation=True,
        )
        client.create_dir(BUCKET)
        variables = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "VALLE_CACHE": f"{folder}/cache",
        }
        yield ObjectStore(variables, Path(folder) / "log")


@contextmanager
def _server(log: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with log.open("wb") as stream:
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=stream,
            env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        )
    try:
        _wait_for(port, server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def _wait_for(port: int, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError("moto's server did not start")
