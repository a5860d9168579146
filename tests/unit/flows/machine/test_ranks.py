"""Ranks of one machine: signals reach all of them, and one that dies is named with its last words."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.flows.machine.stopping import stop_after_two_steps
from tests.unit.training.toy import make_toy_set
from valle.training.options import TrainOptions

ROOT = Path(__file__).parents[4]
WORKER = """
import os, signal, sys, time
from pathlib import Path
rank = int(os.environ["RANK"])
signal.signal(signal.SIGTERM, lambda *_: (print("saved", flush=True), sys.exit(0)))
print(f"{rank} of {os.environ['WORLD_SIZE']}", flush=True)
ready = Path(__file__).parent
(ready / f"ready-{rank}").touch()
while not all((ready / f"ready-{other}").exists() for other in range(2)):  # one that dies does so beside the others
    time.sleep(0.05)
if rank == 1 and sys.argv[1] == "raise":
    sys.exit("CUDA error: an illegal memory access")
if rank == 1 and sys.argv[1] == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
while sys.argv[1] != "end":
    time.sleep(0.05)  # a signal between Python's check and one long sleep would be handled after that sleep
"""


def start(folder: Path, how: str) -> "subprocess.Popen[str]":
    (folder / "worker.py").write_text(WORKER, encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-m", "flows.machine.ranks", "2", "worker", how],
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(folder), str(ROOT)))},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_run_whose_ranks_end_well_ends_well(tmp_path: Path) -> None:
    run = start(tmp_path, "end")
    output, _ = run.communicate(timeout=300)
    assert (run.returncode, sorted(output.splitlines())) == (0, ["0 of 2", "rank 1: 1 of 2"])


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("raise", "Rank 1 ended with exit code 1; its last words: 1 of 2 | CUDA error: an illegal memory access"),
        ("kill", "Rank 1 was killed by SIGKILL; its last words: 1 of 2"),
    ],
)
def test_a_rank_that_dies_ends_the_others_and_is_named_with_its_last_words(
    tmp_path: Path, how: str, sentence: str
) -> None:
    run = start(tmp_path, how)
    output, _ = run.communicate(timeout=300)
    assert run.returncode != 0
    assert output.splitlines()[-1] == sentence
    assert "saved" in output


def test_a_signal_reaches_every_rank_and_all_save(tmp_path: Path) -> None:
    run = start(tmp_path, "wait")
    assert run.stdout is not None
    started = [run.stdout.readline(), run.stdout.readline()]
    assert sorted(line.strip() for line in started) == ["0 of 2", "rank 1: 1 of 2"]
    time.sleep(0.2)
    run.send_signal(signal.SIGTERM)
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0
    assert sorted(output.splitlines()) == ["rank 1: saved", "saved"]


@pytest.mark.slow
def test_a_training_of_two_ranks_that_is_stopped_has_a_checkpoint_of_both(tmp_path: Path) -> None:
    options = TrainOptions(
        training_set=make_toy_set(tmp_path / "toy"), run_dir=tmp_path / "run", model="nano", batch_tokens=300,
        prompt_seconds=(0.1, 0.2), max_steps=100_000, log_every=1, engine="deepspeed", zero_stage=2, processes=2,
    )  # fmt: skip
    (tmp_path / "run.json").write_text(options.model_dump_json(), encoding="utf-8")
    run = subprocess.Popen(
        [sys.executable, "-m", "flows.machine.ranks", "2", "valle.training", str(tmp_path / "run.json")],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    card = stop_after_two_steps(run, tmp_path / "run")
    assert card.ranks == 2
    assert card.step >= 2
