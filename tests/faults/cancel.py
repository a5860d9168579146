"""How long a cancelled training takes to end: `python -m tests.faults.cancel --data FOLDER`.

A real station trains with DeepSpeed and is told to cancel, again and again, each time a little later in the training.
Each time every process of the run must be gone, the server must say Cancelled, and the newest checkpoint must load and
be at least the one that was there; the next training resumes it.
"""

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient
from prefect.states import Cancelling

from flows.operations.station import Station
from tests.pipeline.road import folder_corpus, run_road, write_folder
from tests.station import processes_of_run, start, throwaway_station, wait_for_run, wait_until, words
from valle.backends import Backends
from valle.data.select import Selection, select
from valle.data.splits import SplitPolicy
from valle.phonemes import phoneme_table
from valle.place import Place
from valle.training.checkpoint import latest_checkpoint, load_model

_SECONDS_TO_TRAIN = 900.0


def small_training_set(place: Place, clips: Path, count: int) -> None:
    """The training set `small` of `count` demo clips."""
    run_road(folder_corpus(write_folder(clips, count)), place.lake)
    selection = Selection(name="small", split_policy=SplitPolicy(dev=0.1, test=0.1))
    select(selection, place, codec=Backends().codec("mini").spec, phoneme_symbols=phoneme_table().symbols)


def cancel_once(station: Station, client: SyncPrefectClient, place: Place, *, pause: float) -> dict[str, object]:
    """Train, cancel `pause` seconds after a checkpoint, and what came of it."""
    run_dir = place.runs / "cancelled"
    before = latest_checkpoint(run_dir)
    options = {"model": "nano", "engine": "deepspeed", "batch_tokens": 512, "max_steps": 100_000, "save_every": 20}
    asked = {"training_set": "small", "run": "cancelled", "options": options, "evaluate": False}
    run = start(client, "train/train", asked)
    found = wait_until(
        lambda: (newest := latest_checkpoint(run_dir)) != before and newest,
        _SECONDS_TO_TRAIN,
    )
    time.sleep(pause)
    trainers = [one for one in processes_of_run(station, run) if "valle.training" in words(one)]
    assert trainers, "nothing trains"
    client.set_flow_run_state(run, Cancelling())
    began = time.monotonic()
    wait_until(lambda: not any(one.is_running() for one in trainers), 120, pause=0.05)
    trainer = time.monotonic() - began
    wait_until(lambda: not processes_of_run(station, run), 120, pause=0.1)
    everything = time.monotonic() - began
    state = wait_for_run(client, run, 120).state
    known = time.monotonic() - began
    assert state is not None
    assert state.is_cancelled(), state
    left = latest_checkpoint(run_dir)
    assert left is not None
    assert left.name >= found.name
    _, card = load_model(left)
    return {
        "trainer gone, s": round(trainer, 1),
        "all processes gone, s": round(everything, 1),
        "Cancelled, s": round(known, 1),
        "step": card.step,
        "saved when told": left.name != found.name,
        "load": round(os.getloadavg()[0], 1),
    }


def main(arguments: Sequence[str]) -> None:
    """Cancel some trainings, and print how long each took to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--data", type=Path, required=True, help="an empty folder")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    draw = random.Random(options.seed)
    root = options.data.resolve()
    place = Place(root / "station")
    small_training_set(place, root / "clips", 40)
    with throwaway_station(place.root) as (station, client):
        for _ in range(options.times):
            found = cancel_once(station, client, place, pause=draw.uniform(0.0, 5.0))
            sys.stdout.write(json.dumps(found) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
