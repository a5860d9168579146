"""Kill everything, many times: `python -m tests.faults.campaign --data FOLDER`.

Most kills hit the pipeline alone and the flow alone, in processes forked from one that has imported everything. Then a
real server prepares corpora and trains models at the same time, and one process of each is killed at random moments: a
flow, a shard, a worker, a trainer, the server. At last the supervisor is killed, with which every process must end, and
`valle up` is called again. After each kill the server must know that the runs ended, none of their processes may be
left, and the next run continues. The results must equal those of a run without kills.
"""

import argparse
import contextlib
import json
import math
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import httpx
import psutil
from prefect.client.orchestration import SyncPrefectClient

from flows.server.local_server import LocalServer, supervisor_pid
from flows.server.options import UpOptions
from flows.server.up import bring_up, remaining_processes
from tests.local_server import processes_of_run, start, throwaway_server, wait_until, words
from tests.pipeline.prepared import folder_corpus, part_names, run_pipeline, tables_of, write_folder
from valle.backends.registry import Backends
from valle.checkpoints.checkpoint import read_card
from valle.checkpoints.runs import latest_checkpoint
from valle.data.selection.options import Selection
from valle.data.selection.select import select
from valle.data.selection.splits import SplitPolicy
from valle.data_root import DataRoot
from valle.phonemes import phoneme_table
from warehouse.lake.tables import Lake
from warehouse.upkeep.fsck import fsck

CLIPS, SHARD_MEGABYTES, STEPS = 40, 0.08, 60
OF_CORPUS = ("flow", "shard", "worker cpu", "server")
OF_TRAINING = ("flow", "trainer", "worker train")
_CHILDREN = {"shard": "spawn_main", "trainer": "valle.training"}
# A run whose worker is gone too is found by its missing heartbeats, after 90 s; one that never began after 5 minutes.
SECONDS_TO_KNOW = 360.0
SECONDS_TO_RUN = 900.0
SECONDS_TO_START = 600.0
SECONDS_TO_DIE = 60.0


@dataclass(slots=True)
class Tally:
    """The process that was killed, and the state of the lake afterwards."""

    kills: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    corpora: int = 0
    trainings: int = 0
    longest_to_know: float = 0.0

    def describe(self) -> str:
        return json.dumps(
            {
                "kills": dict(self.kills),
                "kills in all": sum(self.kills.values()),
                "runs ended as": dict(self.states),
                "corpora finished and equal": self.corpora,
                "trainings finished": self.trainings,
                "longest that a run without a process was not known to have ended, s": round(self.longest_to_know, 1),
            },
            indent=1,
        )


class Campaign:
    """Rounds of kills against one server."""

    def __init__(self, server: LocalServer, client: SyncPrefectClient, root: Path, seed: int) -> None:
        self.server, self.client, self.root = server, client, root
        self.draw = random.Random(seed)
        self.tally = Tally()
        self.clips = write_folder(root / "clips", CLIPS)
        self.expected = Lake(root / "expected" / "lake")
        run_pipeline(folder_corpus(self.clips, shard_megabytes=SHARD_MEGABYTES), self.expected)
        self.training = DataRoot(root / "expected")
        policy = SplitPolicy(dev=0.1, test=0.1)
        selection = Selection(name="small", split_policy=policy)
        select(selection, self.training, codec=Backends().codec("mini").spec, phoneme_symbols=phoneme_table().symbols)

    def kill_alone(self, pipeline: int, flow: int) -> None:
        """Kill forks that run the pipeline, and forks that run the flow; one more run finishes their work."""
        if pipeline:
            self._alone("pipeline alone", "tests.pipeline.killed", [str(self.clips), str(self._data), str(pipeline)])
        if flow:
            self._alone("flow alone", "tests.pipeline.killed_flow", [str(flow), *self._flags()])

    def kill_in_server(self, kills: int, minutes: float) -> None:
        """Kill until there were `kills` more or the time is over."""
        wanted = sum(self.tally.kills.values()) + kills
        deadline = time.monotonic() + 60 * minutes
        while sum(self.tally.kills.values()) < wanted and time.monotonic() < deadline:
            self._round(kill=True)
            sys.stderr.write(f"{time.strftime('%H:%M:%S')} {dict(self.tally.kills)} {dict(self.tally.states)}\n")

    def kill_supervisor(self, kills: int) -> None:
        """Kill the supervisor while a corpus is prepared and a model is trained, and start the server again."""
        for _ in range(kills):
            runs = self._start_both("threads")
            time.sleep(self.draw.uniform(0.0, 10.0))
            supervisor = supervisor_pid(self.server.home)
            assert supervisor is not None
            psutil.Process(supervisor).kill()
            self.tally.kills["supervisor"] += 1
            wait_until(lambda: not list(remaining_processes(self.server.home)), SECONDS_TO_DIE)
            bring_up(UpOptions(data=self.server.data, port=self.server.port))
            self._end_both(runs)
            sys.stderr.write(f"{time.strftime('%H:%M:%S')} {dict(self.tally.kills)} {dict(self.tally.states)}\n")

    def finish(self) -> None:
        """Let everything finish without a kill; no run may be left that the server takes for running."""
        self._round(kill=False)
        unfinished = [run.name for run in self.client.read_flow_runs(limit=200) if run.state and run.state.is_running()]
        assert unfinished == [], f"still running: {unfinished}"

    def _alone(self, name: str, module: str, arguments: Sequence[str]) -> None:
        """Kill forks of one process; the last line that it prints is how many kills met one at work."""
        ran = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env=self.server.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        self.tally.kills[name] += int(ran.stdout.splitlines()[-1])
        self._check_corpus()
        sys.stderr.write(f"{time.strftime('%H:%M:%S')} {dict(self.tally.kills)}\n")

    def _flags(self) -> list[str]:
        corpus = ["--corpus.kind", "folder", "--corpus.root", str(self.clips), "--corpus.name", "clips"]
        said = ["--corpus.options.language", "en", "--corpus.options.licence", "Apache-2.0"]
        layout = ["--corpus.options.speaker-from-folder", f"--corpus.options.shard-megabytes={SHARD_MEGABYTES}"]
        quick = ["--stages.transcribe.no-check-given", "--stages.quality.scorers", "[]"]
        return [*corpus, *said, *layout, *quick, "--data", str(self._data)]

    @property
    def _data(self) -> Path:
        return self.root / f"data{self.tally.corpora}"

    @property
    def _model(self) -> str:
        return f"model{self.tally.trainings}"

    def _round(self, *, kill: bool) -> None:
        of_corpus, of_training = self.draw.choice(OF_CORPUS), self.draw.choice(OF_TRAINING)
        runs = self._start_both("processes" if of_corpus == "shard" else "threads")
        for run, target in zip(runs, (of_corpus, of_training), strict=True):
            if kill:
                self._kill(run, target)
        ended = self._end_both(runs)
        assert kill or ended == ["COMPLETED", "COMPLETED"], f"without a kill: {ended}"
        # What was killed is up again before the next round.
        wait_until(lambda: len(self.server.running()) == 4, SECONDS_TO_START)

    def _start_both(self, runner: str) -> tuple[UUID, UUID]:
        """Start a corpus and a training; return their runs, which have begun."""
        runs = (
            start(self.client, "prepare/prepare", self._prepare(runner)),
            start(self.client, "train/train", self._train()),
        )
        for run in runs:
            wait_until(lambda run=run: self._has_begun(run), SECONDS_TO_START)  # type: ignore[misc]  # mypy infers no default of a lambda
        return runs

    def _end_both(self, runs: tuple[UUID, UUID]) -> list[str]:
        """Wait until a corpus and a training have ended, and check those that completed."""
        ended = [self._end(run) for run in runs]
        if ended[0] == "COMPLETED":
            self._check_corpus()
        if ended[1] == "COMPLETED":
            self._check_training()
        return ended

    def _has_begun(self, run: UUID) -> bool:
        state = self.client.read_flow_run(run).state
        return state is not None and (state.is_running() or state.is_final())

    def _kill(self, run: UUID, target: str) -> None:
        """Kill `target` at a random moment of a run that is at work, unless the run is faster."""
        if target in _CHILDREN:
            wait_until(lambda: self._victims(run, target) or not self._is_running(run), SECONDS_TO_START)
        time.sleep(self.draw.uniform(0.0, 5.0))
        # What is gone already cannot be killed, and a server that starts again cannot be asked.
        with contextlib.suppress(psutil.NoSuchProcess, KeyError, httpx.HTTPError):
            victims = self._victims(run, target)
            if victims and self._is_running(run):
                self.draw.choice(victims).kill()
                self.tally.kills[target] += 1

    def _is_running(self, run: UUID) -> bool:
        state = self.client.read_flow_run(run).state
        return state is not None and state.is_running()

    def _victims(self, run: UUID, target: str) -> list[psutil.Process]:
        if target.startswith(("server", "worker")):
            return [psutil.Process(self.server.running()[target])]
        of_run = processes_of_run(self.server, run)
        if target == "flow":
            return of_run[:1]
        return [process for process in of_run if _CHILDREN[target] in words(process)]

    def _end(self, run: UUID) -> str:
        """Wait until no process of the run is left, and the server knows that it has ended; its state."""
        wait_until(lambda: not processes_of_run(self.server, run), SECONDS_TO_RUN, pause=1.0)
        gone = time.monotonic()
        state = wait_until(
            lambda: (found := self.client.read_flow_run(run).state).is_final() and found.type.value,  # type: ignore[union-attr]
            SECONDS_TO_KNOW,
        )
        self.tally.longest_to_know = max(self.tally.longest_to_know, time.monotonic() - gone)
        self.tally.states[state] += 1
        return str(state)

    def _check_corpus(self) -> None:
        lake = Lake(self._data / "lake")
        assert tables_of(lake) == tables_of(self.expected), f"{self._data} differs"
        assert part_names(lake, "codes") == part_names(self.expected, "codes"), f"codes of {self._data} differ"
        assert fsck(lake).is_sound
        self.tally.corpora += 1

    def _check_training(self) -> None:
        checkpoint = latest_checkpoint(self.training.runs / self._model)
        assert checkpoint is not None
        assert read_card(checkpoint).step == STEPS
        self.tally.trainings += 1

    def _prepare(self, runner: str) -> dict[str, object]:
        options = {"language": "en", "licence": "Apache-2.0", "speaker_from_folder": True}
        return {
            "data": str(self._data),
            "corpus": {
                "kind": "folder",
                "root": str(self.clips),
                "name": "clips",
                "options": options | {"shard_megabytes": SHARD_MEGABYTES},
            },
            "stages": {"transcribe": {"check_given": False}, "quality": {"scorers": []}},
            "workers": {"runner": runner, "width": 2},
        }

    def _train(self) -> dict[str, object]:
        settings = {
            "max_steps": STEPS,
            "batch_tokens": 512,
            "evaluate_every": STEPS,
            "save_every": 5,
            "warmup_steps": 1,
        }
        return {
            "data": str(self.training.root),
            "training_set": "small",
            "run": self._model,
            "evaluate": False,
            "options": settings | {"warmup_steps": 1, "threads": 1},
        }


def main(arguments: Sequence[str]) -> None:
    """Run a campaign and print its tally."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pipeline", type=int, default=40, help="kills of the pipeline alone")
    parser.add_argument("--flow", type=int, default=30, help="kills of the flow alone")
    parser.add_argument("--server", type=int, default=30, help="kills of the processes of a server")
    parser.add_argument("--supervisor", type=int, default=5, help="kills of the supervisor")
    parser.add_argument("--minutes", type=float, default=math.inf, help="after which no more kills begin in the server")
    parser.add_argument("--data", type=Path, required=True, help="an empty folder")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    root = options.data.resolve()
    with throwaway_server(root / "server") as (server, client):
        campaign = Campaign(server, client, root, options.seed)
        campaign.kill_alone(options.pipeline, options.flow)
        campaign.kill_in_server(options.server, options.minutes)
        campaign.kill_supervisor(options.supervisor)
        campaign.finish()
    sys.stdout.write(campaign.tally.describe() + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
