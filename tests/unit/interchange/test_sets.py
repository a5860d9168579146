"""Training sets in other formats have the same codes and phonemes."""

import io
import json
import tarfile

import numpy as np
import pyarrow.parquet as pq
import pytest

from manifests.codes.hdf5 import read_items
from manifests.codes.utterances import read_utterance
from tests.unit.training.toy import make_toy_set
from valle.data.selection.training_set import load_training_set
from valle.interchange.sets.export import WRITERS, export_training_set
from valle.interchange.sets.items import export_items
from valle.phonemes.symbols import split_symbols
from warehouse.errors import ConfigurationError


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return load_training_set(make_toy_set(tmp_path_factory.mktemp("toy"), num_items=6, dev_items=2))


@pytest.fixture(scope="module")
def items(toy):
    return {item.id: item for item in export_items(toy)}


@pytest.fixture(scope="module")
def exported(toy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    counts = {name: export_training_set(toy, folder / name, name) for name in WRITERS}
    assert set(counts.values()) == {len(toy.items)}
    return folder


def test_containers_are_what_our_reader_reads(exported, items):
    files = sorted((exported / "vall-e").rglob("*.enc"))
    assert len(files) == len(items)
    for file in files:
        item, found = items[file.stem], read_utterance(str(file))
        assert np.array_equal(found.codes, item.codes)
        assert tuple(split_symbols(found.phonemes)) == item.symbols
        assert file.parent.relative_to(exported / "vall-e").as_posix() == item.speaker_path


def test_hdf5_is_what_our_reader_reads(exported, items):
    pytest.importorskip("h5py")
    found = {item.path.rsplit("/", 1)[1]: item for item in read_items(exported / "hdf5" / "data.h5")}
    assert found.keys() == items.keys()
    for name, item in items.items():
        assert np.array_equal(found[name].codes, item.codes)
        assert found[name].metadata["phonemes"] == item.phonemes
        assert found[name].path.startswith("training" if item.split == "train" else "validation")


def test_tars_have_codes_and_metadata(exported, items):
    found = {}
    for path in (exported / "webdataset").glob("*.tar"):
        with tarfile.open(path) as tar:
            for member in tar:
                found[member.name] = tar.extractfile(member).read()
    assert len(found) == 2 * len(items)
    for name, item in items.items():
        assert np.array_equal(np.load(io.BytesIO(found[f"{name}.npy"])), item.codes)
        assert json.loads(found[f"{name}.json"]) == item.described()


def test_parquet_has_a_file_of_each_split_and_a_card(exported, items):
    folder = exported / "hf-dataset"
    rows = [row for path in (folder / "data").glob("*.parquet") for row in pq.read_table(path).to_pylist()]
    assert {row["id"]: row["codes"] for row in rows} == {name: item.codes.tolist() for name, item in items.items()}
    card = (folder / "README.md").read_text()
    assert "path: data/train.parquet" in card
    assert "Codes of toy@1" in card


def test_lhotse_loads_the_shar(exported, items):
    from lhotse import CutSet

    cuts = [cut for split in (exported / "shar").iterdir() for cut in CutSet.from_shar(in_dir=split)]
    assert {cut.id for cut in cuts} == items.keys()
    for cut in cuts:
        assert np.array_equal(cut.load_codes(), items[cut.id].codes.T)
        assert tuple(cut.supervisions[0].custom["symbols"]) == items[cut.id].symbols


def test_an_existing_folder_is_kept(toy, tmp_path):
    with pytest.raises(ConfigurationError, match="exists"):
        export_training_set(toy, tmp_path, "vall-e")
