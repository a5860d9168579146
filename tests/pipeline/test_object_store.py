"""The pipeline with its lake on an S3-compatible store: raw audio to codes, a selection, and codes read back."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from lhotse import CutSet
from lhotse.array import seconds_to_frames

from tests.pipeline.prepared import folder_corpus, part_names, rows_of, run_pipeline, tables_of, write_folder
from valle.backends.registry import Backends
from valle.data.codes_reader import CodesReader
from valle.data.selection.options import Selection
from valle.data.selection.select import select
from valle.data.selection.splits import SplitPolicy
from valle.data.selection.training_set import TrainingSet, load_training_set
from valle.data_root import DataRoot
from valle.phonemes import phoneme_table
from warehouse.lake.tables import Lake
from warehouse.upkeep.fsck import fsck

pytest.importorskip("moto")
from tests.object_store import BUCKET, object_store

pytestmark = pytest.mark.machines

_CLIPS = 3


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("clips"), _CLIPS)


@pytest.fixture(scope="module")
def in_folder(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Return the rows of a pipeline whose lake is a folder."""
    lake = Lake(tmp_path_factory.mktemp("in_folder"))
    run_pipeline(folder_corpus(clips), lake)
    return lake


@pytest.fixture(scope="module")
def on_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataRoot]:
    with pytest.MonkeyPatch.context() as patch, object_store() as store:
        for name, value in {**store.variables, "VALLE_LAKE": f"s3://{BUCKET}/lake"}.items():
            patch.setenv(name, value)
        yield DataRoot(tmp_path_factory.mktemp("data"), os.environ["VALLE_LAKE"])


@pytest.fixture(scope="module")
def chosen(on_store: DataRoot, clips: Path) -> TrainingSet:
    run_pipeline(folder_corpus(clips), on_store.lake)
    codec, symbols = Backends().codec("mini").spec, phoneme_table().symbols
    selection = Selection(name="set", split_policy=SplitPolicy(dev=0, test=0))
    return select(selection, on_store, codec=codec, phoneme_symbols=symbols)


def test_a_lake_on_an_object_store_holds_what_one_in_a_folder_holds(
    chosen: TrainingSet, on_store: DataRoot, in_folder: Lake
) -> None:
    assert tables_of(on_store.lake) == tables_of(in_folder)
    assert part_names(on_store.lake, "codes") == part_names(in_folder, "codes")
    assert fsck(on_store.lake).is_sound
    assert not (on_store.root / "lake").exists()


def test_a_set_that_was_selected_there_reads_its_codes_from_there(
    chosen: TrainingSet, on_store: DataRoot, in_folder: Lake
) -> None:
    loaded = load_training_set(on_store.training_sets / "set")
    assert str(loaded.lake) == os.environ["VALLE_LAKE"]
    assert loaded.items == chosen.items
    assert loaded.items.num_rows == _CLIPS
    reader = CodesReader(loaded.lake)
    expected = {row["segment_id"]: row for row in rows_of(in_folder, "codes")}
    for item in loaded.items.to_pylist():
        codes = reader.read(item["codes_file"], item["codes_row_group"], item["codes_row"], num_codebooks=8)
        whole = expected[item["segment_id"]]
        assert np.array_equal(codes, np.stack([whole[f"q{k}"] for k in range(8)]))


def test_lhotse_reads_the_codes_of_exported_cuts_from_there(chosen: TrainingSet, in_folder: Lake) -> None:
    cuts = CutSet.from_file(chosen.directory / "cuts_train.jsonl.gz").to_eager()
    assert len(cuts) == _CLIPS
    expected = {row["segment_id"]: row for row in rows_of(in_folder, "codes")}
    for cut in cuts:
        codes, whole = cut.load_custom("codes"), expected[cut.id]
        assert len(codes) == seconds_to_frames(cut.duration, 1 / 75)  # a frame of which little is filled is left out
        assert np.array_equal(codes, np.stack([whole[f"q{k}"] for k in range(8)], axis=1)[: len(codes)])


def test_what_is_done_there_is_not_done_again(chosen: TrainingSet, on_store: DataRoot, clips: Path) -> None:
    assert run_pipeline(folder_corpus(clips), on_store.lake) == []
