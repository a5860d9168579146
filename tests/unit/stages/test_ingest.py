"""Ingestion: corpora that were moved, copied or touched keep what was computed from them."""

import gzip
import json
import logging
import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from manifests import open_corpus
from valle.backends.registry import Backends
from valle.stages.ingest import export_manifests, ingest_shard, plan_ingest
from valle.stages.quantize import Quantize
from valle.stages.runner import Job, plan, run_shards, set_active_configurations
from valle.stages.segment import Segment
from warehouse.catalogue.views import connect
from warehouse.errors import ManifestError
from warehouse.lake.tables import Lake
from warehouse.rows import ConfigurationRow


def put_folder(root):
    for number in range(3):
        path = root / f"reader/u{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.random.default_rng(number).normal(0, 0.1, 8_000), 16_000)
        path.with_suffix(".txt").write_text(f"Text {number}.")
    return root


def put_tar(root):
    put_folder(root / "loose")
    with tarfile.open(root / "EN-B000000.tar", "w") as archive:
        for path in sorted((root / "loose/reader").glob("*.wav")):
            archive.add(path, path.name)
    shutil.rmtree(root / "loose")
    return root


def put_cuts(root):
    put_folder(root / "audio")
    lines = []
    for number in range(3):
        source = {"type": "file", "channels": [0], "source": f"audio/reader/u{number}.wav"}
        recording = {"id": f"u{number}", "sources": [source], "sampling_rate": 16_000, "duration": 0.5}
        lines.append(json.dumps({"id": f"c{number}", "start": 0, "duration": 0.5, "recording": recording}))
    (root / "lists").mkdir()
    (root / "lists/cuts.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    return root / "lists/cuts.jsonl.gz"


LAYOUTS = {"folder": put_folder, "emilia": put_tar, "cutset": put_cuts}


def ingest(kind, root, lake, name="mine"):
    corpus = open_corpus(kind, root, name)
    plan = plan_ingest(corpus, lake)
    for shard in plan.shards:
        ingest_shard(corpus, shard=shard, lake=lake, run_id="test")
    return plan


def current(lake, columns="recording_id, fingerprint, path, drop_reason"):
    with connect(lake.snapshot()) as connection:
        return connection.execute(f"SELECT {columns} FROM current_recordings ORDER BY recording_id").fetchall()


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake")


@pytest.mark.parametrize("kind", LAYOUTS)
def test_a_moved_corpus_is_the_same_corpus_in_its_new_place(tmp_path, lake, kind, caplog):
    caplog.set_level(logging.INFO)
    root = LAYOUTS[kind](tmp_path / "disk a/corpus")
    ingest(kind, root, lake)
    before = current(lake)
    (tmp_path / "b").mkdir()
    (tmp_path / "disk a").rename(tmp_path / "b/disk a")
    plan = ingest(kind, tmp_path / "b" / root.relative_to(tmp_path), lake)
    assert (plan.new_sources, plan.shards, plan.is_moved) == (0, (), True)
    after = current(lake)
    assert [row[:2] for row in after] == [row[:2] for row in before]
    assert all(row[3] is None and Path(row[2]).is_file() for row in after)
    assert "has moved to" in caplog.text
    assert not ingest(kind, tmp_path / "b" / root.relative_to(tmp_path), lake).is_moved


def test_a_corpus_can_move_again_and_back_and_grow_between(tmp_path, lake):
    places = [tmp_path / "one", tmp_path / "two/deep", tmp_path / "three"]
    put_folder(places[0])
    ingest("folder", places[0], lake)
    here = places[0]
    for number, there in enumerate([places[1], places[2], places[0], places[1]]):
        there.parent.mkdir(parents=True, exist_ok=True)
        here.rename(there)
        here = there
        soundfile.write(here / f"new{number}.wav", np.random.default_rng(90 + number).normal(0, 0.1, 8_000), 16_000)
        plan = ingest("folder", here, lake)
        assert (plan.new_sources, plan.is_moved) == (1, True)
        rows = current(lake)
        assert len(rows) == 4 + number
        assert all(Path(path).is_file() and path.startswith(f"{here}/") for _, _, path, _ in rows)


def test_a_copy_leaves_the_lake_at_the_original_until_that_is_gone(tmp_path, lake):
    root = put_folder(tmp_path / "original")
    ingest("folder", root, lake)
    shutil.copytree(root, tmp_path / "copy")
    assert not ingest("folder", tmp_path / "copy", lake).is_moved
    assert {Path(path).parents[1] for _, _, path, _ in current(lake)} == {root}
    shutil.rmtree(root)
    assert ingest("folder", tmp_path / "copy", lake).is_moved
    assert {Path(path).parents[1] for _, _, path, _ in current(lake)} == {tmp_path / "copy"}


def test_two_roots_of_one_name_move_alone(tmp_path, lake):
    first, second = put_folder(tmp_path / "a/one"), put_folder(tmp_path / "a/two")
    for number in range(3):
        (second / f"reader/u{number}.wav").rename(second / f"reader/v{number}.wav")
        soundfile.write(
            second / f"reader/v{number}.wav", np.random.default_rng(50 + number).normal(0, 0.1, 999), 16_000
        )
    ingest("folder", first, lake)
    ingest("folder", second, lake)
    first.rename(tmp_path / "moved")
    assert ingest("folder", tmp_path / "moved", lake).is_moved
    assert len(current(lake)) == 6
    assert all(Path(path).is_file() for _, _, path, _ in current(lake))


def test_sources_that_were_listed_before_the_move_are_read_after_it(tmp_path, lake):
    root = put_folder(tmp_path / "here")
    plan_ingest(open_corpus("folder", root, "mine"), lake)
    root.rename(tmp_path / "there")
    ingest("folder", tmp_path / "there", lake)
    assert [(Path(path).is_file(), reason) for _, _, path, reason in current(lake)] == [(True, None)] * 3


def test_manifests_of_a_moved_corpus_name_the_new_place(tmp_path, lake):
    root = put_folder(tmp_path / "here")
    ingest("folder", root, lake)
    root.rename(tmp_path / "there")
    ingest("folder", tmp_path / "there", lake)
    paths = export_manifests("mine", lake, tmp_path / "manifests")
    with gzip.open(paths[0].recordings, "rt") as lines:
        sources = [json.loads(line)["sources"][0]["source"] for line in lines]
    assert len(sources) == 3 and all(source.startswith(str(tmp_path / "there")) for source in sources)


def test_files_that_were_copied_or_touched_keep_their_fingerprints(tmp_path, lake):
    root = put_folder(tmp_path / "here")
    ingest("folder", root, lake)
    before = current(lake, "recording_id, fingerprint")
    for path in root.rglob("*.wav"):
        os.utime(path, (1, 1))
    plan = ingest("folder", root, lake)
    assert plan.new_sources == 3
    assert current(lake, "recording_id, fingerprint") == before
    (root / "reader/u1.txt").write_text("Another text.")
    ingest("folder", root, lake)
    changed = [one != two for one, two in zip(before, current(lake, "recording_id, fingerprint"), strict=True)]
    assert sum(changed) == 1


@pytest.mark.parametrize("stage", [Segment(use_given=False), Quantize()])
def test_a_stage_refuses_a_corpus_whose_folder_is_gone_until_it_is_ingested_again(tmp_path, lake, stage):
    root = put_folder(tmp_path / "here")
    ingest("folder", root, lake)
    if isinstance(stage, Quantize):
        run(Segment(), lake)
    root.rename(tmp_path / "there")
    for _ in range(2):
        with pytest.raises(ManifestError, match="mount it, or run `valle data ingest` with its new folder"):
            run(stage, lake)
        root.mkdir(exist_ok=True)  # an empty mount point
    root.rmdir()
    ingest("folder", tmp_path / "there", lake)
    (tmp_path / "there/reader/u1.wav").unlink()
    rows = run(stage, lake)
    assert sum(report.drops.get("missing_file", 0) for report in rows) == 1
    assert sum(report.rows_in for report in rows) == 3


def run(stage, lake):
    set_active_configurations([Job(stage, "mine")], lake)
    with connect(lake.snapshot()) as connection:
        shards = plan(stage, "mine", connection).shards
    return run_shards(stage, shards, corpus="mine", lake=lake, backends=Backends(), run_id="test")


def test_a_corpus_that_never_moved_leaves_no_configuration(tmp_path, lake):
    ingest("folder", put_folder(tmp_path / "here"), lake)
    assert lake.open_table(ConfigurationRow.table) is None


def test_equal_bytes_are_duplicates_of_the_first_and_equal_ends_are_not(tmp_path, lake):
    quiet = np.zeros(48_000)
    for name, seed in (("a", 1), ("b", 2), ("c", 1)):
        loud = np.random.default_rng(seed).normal(0, 0.1, 32_000)
        (tmp_path / "here").mkdir(exist_ok=True)
        soundfile.write(tmp_path / f"here/{name}.wav", np.concatenate([quiet, loud, quiet]), 16_000)
    ingest("folder", tmp_path / "here", lake)
    reasons = {Path(path).stem: reason for _, _, path, reason in current(lake)}
    assert reasons["b"] is None
    assert {reasons["a"], reasons["c"]} == {None, "duplicate"}
