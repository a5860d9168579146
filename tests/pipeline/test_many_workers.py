"""Two workers in two processes finish a corpus once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipeline.road import folder_corpus, part_names, rows_of, run_road, tables_of, write_folder
from valle.place import Place
from warehouse.fsck import fsck
from warehouse.lake import Lake

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
    """What one worker makes of the corpus."""
    lake = Lake(tmp_path_factory.mktemp("alone"))
    run_road(folder_corpus(clips, shard_megabytes=_SHARD), lake)
    return lake


def _two_workers(clips: Path, data: Path) -> list[dict[str, int]]:
    """The rows that each of two processes did on one corpus, by stage."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.pipeline.road", str(clips), str(data), run, str(_SHARD)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for run in ("one", "other")
    ]
    done: list[dict[str, int]] = []
    for worker in workers:
        answer, _ = worker.communicate(timeout=900)
        assert worker.returncode == 0
        done.append(json.loads(answer))
    return done


def test_two_processes_finish_a_corpus_once_and_leave_what_one_leaves(clips: Path, alone: Lake, tmp_path: Path) -> None:
    done = _two_workers(clips, tmp_path)
    lake = Place(tmp_path).lake
    assert tables_of(lake) == tables_of(alone)
    assert part_names(lake, "codes") == part_names(alone, "codes")
    receipts = rows_of(lake, "(SELECT stage, sum(rows_in)::BIGINT AS done FROM runs GROUP BY stage)")
    assert {row["stage"]: row["done"] for row in receipts} == dict.fromkeys(_STAGES, _CLIPS)
    assert fsck(lake).is_sound
    both = {stage: sum(worker.get(stage, 0) for worker in done) for stage in _STAGES}
    assert all(both[stage] >= _CLIPS for stage in _STAGES)
