"""A kill in the middle of a shard loses the batch that was being done, and no other."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest

from tests.pipeline.prepared import QUICK, folder_corpus, part_names, rows_of, run_pipeline, write_folder
from valle.backends.registry import Backends
from valle.data_root import open_data_root
from valle.stages.base import AudioNeed, Drop, Stage, WorkItem, audio_at
from valle.stages.quantize import Quantize
from valle.stages.runner import Job, plan, run_shards, set_active_configurations
from warehouse.catalogue.planning import InputView
from warehouse.catalogue.views import connect
from warehouse.lake.tables import Lake
from warehouse.rows import CodesPayload, CodesRow, StageRow
from warehouse.upkeep.retry import forget_drops

ROOT = Path(__file__).parents[2]
_CLIPS = 6
_KILLED_AT = 4


@dataclass(frozen=True, kw_only=True)
class NotedQuantize(Stage):
    """`quantize`, one utterance at a time, which notes every utterance it begins and is killed at the nth."""

    name: ClassVar[str] = "quantize"
    version: ClassVar[int] = Quantize.version
    reads: ClassVar[InputView] = Quantize.reads
    writes: ClassVar[type[StageRow]] = CodesRow
    audio: ClassVar[AudioNeed] = audio_at(24000)
    batch_seconds: ClassVar[float] = 0.0
    log: Path = field(metadata={"neutral": True})
    killed_at: int = field(default=0, metadata={"neutral": True})

    @property
    def revision(self) -> str:
        return Quantize().revision

    def process(self, items: Sequence[WorkItem], models: Backends) -> list[CodesPayload | Drop]:
        begun = begun_in(self.log)
        with self.log.open("a") as log:
            log.writelines(f"{item.input.id}\n" for item in items)
        if len(begun) + len(items) == self.killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return Quantize().process(items, models)


def begun_in(log: Path) -> list[str]:
    """The utterances that were begun, in their order."""
    return log.read_text().split() if log.exists() else []


def quantize(lake: Lake, log: Path, killed_at: int = 0) -> None:
    stage, backends = NotedQuantize(log=log, killed_at=killed_at), Backends()
    set_active_configurations([Job(stage, "clips")], lake)
    with connect(lake.snapshot()) as connection:
        shards = plan(stage, "clips", connection).shards
    assert len(shards) == 1
    run_shards(stage, shards, corpus="clips", lake=lake, backends=backends, run_id="test")


def _until_killed(data: Path, log: Path, killed_at: int) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.pipeline.test_unfinished_shard import quantize; "
        "from valle.data_root import open_data_root; data, log, at = sys.argv[1:]; "
        "quantize(open_data_root(Path(data)).lake, Path(log), int(at))"
    )
    arguments = [sys.executable, "-c", code, str(data), str(log), str(killed_at)]
    killed = subprocess.run(arguments, cwd=ROOT, check=False, timeout=300)
    assert killed.returncode == -signal.SIGKILL


def _segmented(clips: Path, data: Path) -> Lake:
    """A lake with everything but codes, in one shard."""
    lake = open_data_root(data).lake
    run_pipeline(folder_corpus(clips, shard_megabytes=64), lake, [stage for stage in QUICK if stage.name != "quantize"])
    return lake


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with clips, a data root whose `quantize` was killed, and the log of what it had begun."""
    home = tmp_path_factory.mktemp("killed")
    lake = _segmented(write_folder(home / "clips", _CLIPS), home / "data")
    shutil.copytree(home / "data", home / "undisturbed")
    _until_killed(home / "data", home / "log", _KILLED_AT)
    assert rows_of(lake, "codes") == []
    return home


@pytest.fixture
def lake(killed: Path, tmp_path: Path) -> Lake:
    shutil.copytree(killed / "data", tmp_path / "data")
    return open_data_root(tmp_path / "data").lake


def test_a_kill_loses_one_utterance_and_leaves_what_no_kill_leaves(killed: Path, lake: Lake, tmp_path: Path) -> None:
    before = begun_in(killed / "log")
    assert len(before) == _KILLED_AT

    log = tmp_path / "log"
    quantize(lake, log)
    after = begun_in(log)
    assert after[0] == before[-1], "the utterance that was being done is done again"
    assert len(after) == _CLIPS - _KILLED_AT + 1 and not set(after) & set(before[:-1])
    assert len({row["segment_id"] for row in rows_of(lake, "codes")}) == len(rows_of(lake, "codes")) == _CLIPS

    undisturbed = open_data_root(killed / "undisturbed").lake
    quantize(undisturbed, tmp_path / "other")
    assert part_names(lake, "codes") == part_names(undisturbed, "codes")


def test_a_retry_takes_nothing_over_from_an_unfinished_shard(lake: Lake, tmp_path: Path) -> None:
    forget_drops(lake, "quantize")
    quantize(lake, tmp_path / "log")
    assert len(begun_in(tmp_path / "log")) == _CLIPS
