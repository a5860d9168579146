"""Compare two workers on one corpus with one: `python benchmarks/workers.py [--clips 240] [--shards 120]`.

The same corpus is done twice, by one process and by two that begin together, each with its models open on one thread.
Two clocks: the seconds on the wall, which mean something where two cores are free, and the processor seconds, which
do on a busy machine too. With a core for each, two workers need as long as the one of them that works more; so
processor seconds of one alone over those of the busier one of two is the rate to expect. It counts what the two do
twice, and what they find done by the other. It does not count waiting for a disk.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from figures import report
from prepare import copy_clips, ingest

from valle.backends.registry import Backends
from valle.stages.base import Stage
from valle.stages.quality import Quality
from valle.stages.quantize import Quantize
from valle.stages.runner import Job, plan, run_shards, set_active_configurations
from valle.stages.speakers import Speakers
from valle.stages.transcribe import Transcribe
from warehouse.catalogue.views import connect
from warehouse.lake.tables import Lake
from warehouse.upkeep.fsck import fsck

STAGES: dict[str, Stage] = {stage.name: stage for stage in (Quality(), Quantize(), Speakers(), Transcribe())}


def work(stage: Stage, lake: Lake, run: str, gate: Path, others: int) -> dict[str, float]:
    """Open the models on a corpus of its own, wait for the other workers, process what is missing."""
    backends = Backends()
    with tempfile.TemporaryDirectory() as folder:
        copy_clips(Path(folder) / "clips", 2)
        warm = Lake(Path(folder) / "lake")
        ingest(Path(folder) / "clips", warm, backends, megabytes=64)
        with connect(warm.snapshot()) as connection:
            few = plan(stage, "clips", connection).shards
        run_shards(stage, few, corpus="clips", lake=warm, backends=backends, run_id=run)
    with connect(lake.snapshot()) as connection:
        shards = plan(stage, "clips", connection).shards_for(run)
    (gate / run).touch()
    while len(list(gate.iterdir())) < others:
        time.sleep(0.01)
    processor, wall = time.process_time(), time.perf_counter()
    reports = run_shards(stage, shards, corpus="clips", lake=lake, backends=backends, run_id=run)
    return {
        "processor": time.process_time() - processor,
        "wall": time.perf_counter() - wall,
        "audio": sum(report.audio_seconds for report in reports),
    }


def run_workers(count: int, stage: Stage, prepared: Path) -> list[dict[str, float]]:
    """`count` workers on a copy of the lake; the lake has to be sound and complete then, with every row once."""
    with tempfile.TemporaryDirectory() as folder:
        lake, gate = Path(folder) / "lake", Path(folder) / "gate"
        shutil.copytree(prepared, lake)
        gate.mkdir()
        workers = [
            subprocess.Popen(
                [sys.executable, __file__, "--stage", stage.name, "--work", *map(str, (lake, gate, number, count))],
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,  # as the workers of a station: Linux shares a busy machine out by sessions
            )
            for number in range(count)
        ]
        found: list[dict[str, float]] = [json.loads(worker.communicate()[0]) for worker in workers]
        assert fsck(Lake(lake)).is_sound
        with connect(Lake(lake).snapshot()) as connection:
            rows = f"SELECT count(*), count(DISTINCT segment_id) FROM {stage.tables.writes}"
            all_of_them, once = _first(connection, rows)
            (wanted,) = _first(connection, "SELECT count(*) FROM input_segments")
        assert all_of_them == once == wanted, (all_of_them, once, wanted)
    return found


def _first(connection: Any, query: str) -> tuple[int, ...]:
    row: tuple[int, ...] = connection.execute(query).fetchone()
    return row


def prepare_lake(folder: Path, clips: int, shards: int, stage: Stage) -> Path:
    """A corpus in about as many shards, ingested and segmented, with the options of the stage active."""
    paths = copy_clips(folder / "clips", clips)
    megabytes = sum(path.stat().st_size for path in paths) / 1e6 / shards
    lake, backends = Lake(folder / "lake"), Backends()
    ingest(folder / "clips", lake, backends, megabytes=megabytes)
    set_active_configurations([Job(stage, "clips")], lake)
    return folder / "lake"


def main() -> int:
    """One worker, then two, and what follows from it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=240)
    parser.add_argument("--shards", type=int, default=120, help="the fewer, the likelier do two meet at the same one")
    parser.add_argument("--stage", choices=sorted(STAGES), default="transcribe")
    parser.add_argument("--work", nargs=4, metavar=("LAKE", "GATE", "RUN", "WORKERS"), help="be one of the workers")
    options = parser.parse_args()
    torch.set_num_threads(1)
    stage = STAGES[options.stage]
    if options.work:
        lake, gate, run, others = options.work
        print(json.dumps(work(stage, Lake(Path(lake)), run, Path(gate), int(others))))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare_lake(Path(folder), options.clips, options.shards, stage)
        (alone,) = run_workers(1, stage, prepared)
        both = run_workers(2, stage, prepared)
    twice = sum(worker["audio"] for worker in both) / alone["audio"] - 1
    print(f"{stage.name}: {alone['audio']:.0f} s of audio, load {os.getloadavg()[0]:.1f}")
    for name, workers in (("one", [alone]), ("two", both)):
        told = ", ".join(f"{one['processor']:.1f} s of processor in {one['wall']:.1f} s" for one in workers)
        print(f"  {name}: {told}")
    print(f"  done twice and thrown away: {100 * twice:.1f} % of the audio")
    print(
        f"  on the wall, as busy as the machine was: {alone['wall'] / max(one['wall'] for one in both):.2f} times one"
    )
    expected = alone["processor"] / max(one["processor"] for one in both)
    return 0 if report("two workers / one, with a core for each", expected, 1.7, at_least=True) else 1


if __name__ == "__main__":
    sys.exit(main())
