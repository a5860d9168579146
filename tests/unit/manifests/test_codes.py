"""Files of codes: what is read, and what is refused before anything runs."""

import json
import os

import numpy as np
import pytest
import torch

from manifests.codes.containers import UnreadableCodes, read_container, write_container
from manifests.codes.hdf5 import read_items
from manifests.codes.utterances import read_utterance
from manifests.corpora.vall_e import VallE, VallEHdf5
from manifests.corpus import assign_shards

CODES = np.arange(8 * 20).reshape(8, 20).astype(np.int16)
METADATA = {"text": "Ab.", "phonemes": "æb.", "language": "english", "original_length": 6400, "sample_rate": 24_000}


class Program:
    """A pickle of it runs a command."""

    def __reduce__(self):
        return (os.system, ("touch ran",))


def save_object(path, content):
    with path.open("wb") as file:
        np.save(file, np.array(content, dtype=object), allow_pickle=True)


def rows_of(corpus):
    sources = list(assign_shards(corpus.find(), corpus.name, megabytes=64))
    return [row for source in sources for row in corpus.read(source)]


def test_containers_are_read_in_both_shapes(tmp_path):
    write_container(tmp_path / "a.enc", CODES, METADATA)
    save_object(tmp_path / "b.nem", {"codes": CODES.astype(np.uint16), "metadata": METADATA})
    for name in ("a.enc", "b.nem"):
        container = read_container(tmp_path / name)
        assert np.array_equal(container.codes, CODES)
        assert container.metadata == METADATA


def test_tensors_are_read_without_torch(tmp_path):
    torch.save(torch.from_numpy(CODES.T.copy()).t().long()[None], tmp_path / "a.qnt.pt")
    assert np.array_equal(read_container(tmp_path / "a.qnt.pt").codes, CODES)


@pytest.mark.parametrize("suffix", [".enc", ".qnt.pt"])
def test_a_container_runs_nothing(tmp_path, monkeypatch, suffix):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"a{suffix}"
    content = {"codes": Program()}
    torch.save(content, path) if suffix == ".qnt.pt" else save_object(path, content)
    with pytest.raises(UnreadableCodes, match="system"):
        read_container(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("codes", "reason"),
    [
        (np.zeros((8, 20), np.uint16), "all zero"),
        (np.ones((2, 8, 20), np.uint16), "shape"),
        (np.full((8, 20), 40_000, np.uint16), "out of range"),
        (np.ones((8, 20), np.float32), "no integers"),
    ],
)
def test_codes_that_cannot_be_right_are_refused(tmp_path, codes, reason):
    save_object(tmp_path / "a.enc", {"codes": codes, "metadata": {}})
    with pytest.raises(UnreadableCodes, match=reason):
        read_container(tmp_path / "a.enc")


def test_a_cut_off_file_is_refused(tmp_path):
    write_container(tmp_path / "a.enc", CODES, METADATA)
    content = (tmp_path / "a.enc").read_bytes()
    for length in (0, 40, len(content) // 2):
        (tmp_path / "a.enc").write_bytes(content[:length])
        with pytest.raises(UnreadableCodes):
            read_container(tmp_path / "a.enc")


def test_text_and_phonemes_beside_a_container(tmp_path):
    torch.save(torch.from_numpy(CODES), tmp_path / "a.qnt.pt")
    (tmp_path / "a.phn.txt").write_text("æ b  s iː .")
    found = read_utterance(str(tmp_path / "a.qnt.pt"))
    assert (found.phonemes, found.text) == ("æb siː.", "æb siː.")
    (tmp_path / "a.json").write_text(json.dumps({"text": "Ab sea.", "language": "de", "snr": 30.5}))
    found = read_utterance(str(tmp_path / "a.qnt.pt"))
    assert (found.text, found.language, found.extra) == ("Ab sea.", "de", {"snr": 30.5})


def test_the_corpus_of_folders_has_a_row_for_each_container(tmp_path):
    folder = tmp_path / "group" / "anna"
    folder.mkdir(parents=True)
    write_container(folder / "a.enc", CODES, METADATA)
    write_container(folder / "noise.enc", CODES + 1, {})
    (folder / "broken.enc").write_bytes(b"no numpy")
    good, broken, noise = rows_of(VallE(tmp_path))
    assert (good.speaker, good.language, good.text) == ("vall-e:group/anna", "en", "Ab.")
    assert (good.duration, good.num_samples, good.drop_reason) == (20 / 75, 20 * 320, None)
    assert broken.drop_reason == "unreadable_codes"
    assert noise.drop_reason == "no_text"


def test_containers_are_listed_without_opening_any(tmp_path, monkeypatch):
    for number in range(300):
        folder = tmp_path / f"speaker{number % 7}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.enc").touch()
    opened = []
    monkeypatch.setattr("builtins.open", lambda *given, **_: opened.append(given))
    monkeypatch.setattr("io.open", lambda *given, **_: opened.append(given))
    assert len(list(VallE(tmp_path).find())) == 300
    assert opened == []


def test_the_corpus_of_hdf5_has_a_row_for_each_item(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "data.h5", "w") as file:
        for split, name in (("training", "a"), ("validation", "a"), ("training", "b")):
            group = file.create_group(f"{split}/group/anna/{name}")
            group.create_dataset("audio", data=CODES.T + (name == "b"), compression="lzf")
            group.attrs.update(METADATA)
    rows = rows_of(VallEHdf5(tmp_path / "data.h5"))
    assert [(row.subset, row.speaker) for row in rows] == [
        ("training", "vall-e-hdf5:group/anna"),
        ("training", "vall-e-hdf5:group/anna"),
        ("validation", "vall-e-hdf5:group/anna"),
    ]
    assert rows[0].content_hash == rows[2].content_hash != rows[1].content_hash
    assert np.array_equal(read_utterance(rows[1].path).codes, CODES + 1)
    assert len(list(read_items(tmp_path / "data.h5"))) == 3
