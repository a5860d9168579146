"""Two workers in two processes finish a corpus once."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from flows.parameters import PhonemizeParameters
from flows.stages import phonemize
from tests.pipeline.prepared import QUICK, folder_corpus, part_names, rows_of, run_pipeline, tables_of, write_folder
from valle.data_root import DataRoot
from valle.stages.runner import plan, shard_unit
from warehouse.catalogue.views import connect
from warehouse.lake.tables import Lake
from warehouse.upkeep.claims import claimed
from warehouse.upkeep.fsck import fsck

ROOT = Path(__file__).parents[2]
_STAGES = ("ingest", "segment", "transcribe", "phonemize", "quantize")
_CLIPS = 6
_SHARD = 0.017
"""Megabytes, which gives each worker some shards."""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("clips"), _CLIPS, per_voice=2)


@pytest.fixture(scope="module")
def alone(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Return the rows that one worker makes of the corpus."""
    lake = Lake(tmp_path_factory.mktemp("alone"))
    run_pipeline(folder_corpus(clips, shard_megabytes=_SHARD), lake)
    return lake


def _two_workers(clips: Path, data: Path) -> list[dict[str, int]]:
    """The rows that each of two processes did on one corpus, by stage."""
    command = [sys.executable, "-m", "tests.pipeline.prepared", str(clips), str(data), "one,other", str(_SHARD)]
    finished = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=900)
    return [json.loads(line) for line in finished.stdout.splitlines()]


def test_two_processes_finish_a_corpus_once_and_leave_what_one_leaves(clips: Path, alone: Lake, tmp_path: Path) -> None:
    done = _two_workers(clips, tmp_path)
    lake = DataRoot(tmp_path).lake
    assert tables_of(lake) == tables_of(alone)
    assert part_names(lake, "codes") == part_names(alone, "codes")
    reports = rows_of(lake, "(SELECT stage, sum(rows_in)::BIGINT AS done FROM shard_runs GROUP BY stage)")
    assert {row["stage"]: row["done"] for row in reports} == dict.fromkeys(_STAGES, _CLIPS)
    assert fsck(lake).is_sound
    both = {stage: sum(worker.get(stage, 0) for worker in done) for stage in _STAGES}
    # To read a source twice costs a look at a file; whatever hears audio is done by one of the two alone.
    assert both.pop("ingest") >= _CLIPS
    assert both == dict.fromkeys(both, _CLIPS)


@pytest.mark.slow
def test_a_run_leaves_the_shard_that_another_is_at_for_last(
    clips: Path, tmp_path: Path, prefect_server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = PhonemizeParameters(data=tmp_path, corpus="clips")
    lake = parameters.data_root.lake
    run_pipeline(folder_corpus(clips, shard_megabytes=_SHARD), lake, [s for s in QUICK if s.name != "phonemize"])
    with connect(lake.snapshot()) as connection:
        todo = plan(parameters.options, "clips", connection)
    assert len(todo.shards) > 2
    began, through = threading.Event(), threading.Event()
    first = todo.shards[0].shard

    def be_at_the_first() -> None:
        with claimed(lake, shard_unit(parameters.options, "clips", first), "another run"):
            began.set()
            through.wait(600)

    other = threading.Thread(target=be_at_the_first)
    other.start()
    began.wait()
    finished = threading.Thread(target=lambda: (_until_rows(lake, len(todo.shards) - 1), through.set()))
    finished.start()
    reports = phonemize(parameters)
    other.join()
    finished.join()
    assert reports[-1].shard == first
    assert sorted(report.shard for report in reports) == sorted(shard.shard for shard in todo.shards)
    assert sum(report.rows_in for report in reports) == _CLIPS


def _until_rows(lake: Lake, shards: int) -> None:
    """Wait until the phonemes of so many shards are there."""
    deadline = time.monotonic() + 600
    while len({row["shard"] for row in rows_of(lake, "phonemes")}) < shards:
        assert time.monotonic() < deadline
        time.sleep(0.2)
