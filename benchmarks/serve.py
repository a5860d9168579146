"""Load of `valle serve`: clients that ask without a pause, against a server of this process's own making.

`python benchmarks/serve.py [--clients 8] [--seconds 120] [--run english]` prints p50 and p95 of the seconds to the
first audio and of the real-time factor, the errors, and how the memory of the server grows over the second half.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
import psutil

TEXTS = (
    "The old man walked slowly to the river.",
    "Seven two nine. One four six.",
    "A bird was singing in the trees. Then the rain began to fall again.",
)
_SAMPLE_BYTES, _RATE = 2, 24_000


def ask(url: str, key: str, client: int, until: float, results: list[tuple[float, float]], errors: list[str]) -> None:
    """Ask until the time is over; append (first audio, real-time factor) of each answer."""
    number = client
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=600) as http:
        while time.monotonic() < until:
            text = TEXTS[number % len(TEXTS)]
            body = {"model": "valle", "voice": f"seed-{client}", "input": text, "response_format": "pcm"}
            number += 1
            started = time.monotonic()
            first, num_bytes = 0.0, 0
            try:
                with http.stream("POST", "/v1/audio/speech", json=body) as response:
                    response.raise_for_status()
                    for piece in response.iter_bytes():
                        first = first or time.monotonic() - started
                        num_bytes += len(piece)
            except httpx.HTTPError as error:
                errors.append(repr(error))
                continue
            spoken = num_bytes / _SAMPLE_BYTES / _RATE
            results.append((first, (time.monotonic() - started) / spoken))


def start_server(data: Path, port: int, run: str) -> subprocess.Popen[bytes]:
    """Start `valle serve` and wait until it answers."""
    program = "import sys; from valle.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "serve", "--data", str(data), "--port", str(port), "--run", run]
    server = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])})
    while True:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/ready", timeout=5).status_code == 200:
                return server
        except httpx.HTTPError:
            if server.poll() is not None:
                raise SystemExit("The server ended at once.") from None
        time.sleep(0.5)


def percentiles(values: list[float]) -> str:
    """Return p50 and p95."""
    ordered = statistics.quantiles(values, n=20)
    return f"p50 {statistics.median(values):.2f}, p95 {ordered[-1]:.2f}"


def main() -> int:
    """Run the load and print the figures; 1 when an answer failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--run", default="english")
    parser.add_argument("--port", type=int, default=8089)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        server = start_server(Path(made), options.port, options.run)
        key = (Path(made) / "serve" / "api_key").read_text().strip()
        url = f"http://127.0.0.1:{options.port}"
        results: list[tuple[float, float]] = []
        errors: list[str] = []
        until = time.monotonic() + options.seconds
        threads = [
            threading.Thread(target=ask, args=(url, key, client, until, results, errors))
            for client in range(options.clients)
        ]
        for thread in threads:
            thread.start()
        memory = []
        while any(thread.is_alive() for thread in threads):
            memory.append(psutil.Process(server.pid).memory_info().rss / 2**20)
            time.sleep(1)
        cpu = psutil.Process(server.pid).cpu_times()
        server.terminate()
        ended = server.wait(60)
    print(f"{len(results)} answers of {options.clients} clients, {len(errors)} errors {errors[:3]}; exit {ended}")
    print(f"first audio, s: {percentiles([first for first, _ in results])}")
    print(f"real-time factor: {percentiles([factor for _, factor in results])}")
    print(f"CPU seconds of the server: {cpu.user + cpu.system:.0f}")
    print(f"memory, MiB: half-time {memory[len(memory) // 2]:.0f}, end {memory[-1]:.0f}, most {max(memory):.0f}")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
