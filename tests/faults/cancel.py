"""Measure how long a cancelled training takes to end: `python -m tests.faults.cancel --data FOLDER`.

A real server trains with DeepSpeed and cancels the run many times, each time at another moment. Each time every
process of the run must end, the state must be Cancelled, and the newest checkpoint must be at least the one that was
there. The next training resumes from it, which shows that it loads.
"""

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.states import Cancelling

from flows.server.local_server import LocalServer
from tests.local_server import processes_of_run, start, throwaway_server, wait_for_run, wait_until, words
from tests.pipeline.prepared import write_folder
from valle.checkpoints.runs import latest_checkpoint, read_content

RUN = "cancelled"
_SECONDS_TO_BEGIN = 1800.0
_TRAINING = {
    "model": "nano",
    "engine": "deepspeed",
    "batch_tokens": 512,
    "max_steps": 1_000_000,
    "save_every": 20,
    "evaluate_every": 1_000_000,
    "keep_checkpoints": 3,
}


def make_training_set(client: SyncPrefectClient, clips: Path, count: int) -> None:
    """Make the training set `small` of `count` demo clips with the deployments of a server."""
    write_folder(clips, count, per_voice=3)
    options = {"language": "en", "licence": "Apache-2.0", "speaker_from_folder": True}
    corpus = {"kind": "folder", "root": str(clips), "name": "clips", "options": options}
    quick = {"transcribe": {"check_given": False}, "quality": {"scorers": []}}
    complete(client, "prepare/prepare", {"corpus": corpus, "stages": quick})
    complete(client, "select/select", {"selection": {"name": "small", "split_policy": {"dev": 0.1, "test": 0.3}}})


def complete(client: SyncPrefectClient, deployment: str, parameters: Mapping[str, Any]) -> None:
    """Run a deployment to its end. Raises AssertionError when it does not complete."""
    state = wait_for_run(client, start(client, deployment, parameters), _SECONDS_TO_BEGIN).state
    assert state is not None
    assert state.is_completed(), f"{deployment}: {state}"


def cancel_once(
    server: LocalServer, client: SyncPrefectClient, *, pause: float, processes: int = 1
) -> dict[str, object]:
    """Train, cancel `pause` seconds after a new checkpoint; what came of it, in seconds since the request."""
    run_dir = server.data / "runs" / RUN
    before = latest_checkpoint(run_dir)
    asked = {"training_set": "small", "run": RUN, "options": _TRAINING | {"processes": processes}, "evaluate": False}
    run = start(client, "train/train", asked)
    found = wait_until(lambda: (newest := latest_checkpoint(run_dir)) != before and newest, _SECONDS_TO_BEGIN)
    time.sleep(pause)
    trainers = [process for process in processes_of_run(server, run) if "valle.training" in words(process)]
    assert len(trainers) >= processes, "not every rank trains"
    client.set_flow_run_state(run, Cancelling())
    began = time.monotonic()
    wait_until(lambda: not any(process.is_running() for process in trainers), 120, pause=0.1)
    trainer = time.monotonic() - began
    wait_until(lambda: not processes_of_run(server, run), 120, pause=0.1)
    everything = time.monotonic() - began
    state = wait_for_run(client, run, 120).state
    known = time.monotonic() - began
    assert state is not None
    assert state.is_cancelled(), state
    left = latest_checkpoint(run_dir)
    assert left is not None
    assert left.name >= found.name
    return {
        "trainer gone": round(trainer, 1),
        "all gone": round(everything, 1),
        "Cancelled": round(known, 1),
        "step": read_content(left)["step"],
        "saved on the way out": left.name != found.name,
        "load": round(os.getloadavg()[0], 1),
    }


def main(arguments: Sequence[str]) -> None:
    """Cancel some trainings, and print how long each took to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--data", type=Path, required=True, help="an empty folder")
    parser.add_argument("--processes", type=int, default=1, help="ranks")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    draw = random.Random(options.seed)
    root = options.data.resolve()
    with throwaway_server(root / "server") as (server, client):
        make_training_set(client, root / "clips", 40)
        for _ in range(options.times):
            found = cancel_once(server, client, pause=draw.uniform(0.0, 5.0), processes=options.processes)
            sys.stdout.write(json.dumps(found) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
