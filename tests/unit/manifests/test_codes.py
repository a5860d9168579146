"""Files of codes: what is read, and what is refused before anything runs."""

import json
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch

from manifests.codes.arrays_only import UnreadableArrays, load_arrays, rebuild
from manifests.codes.containers import UnreadableCodes, read_container, write_container
from manifests.codes.hdf5 import read_item, read_items
from manifests.codes.utterances import read_utterance
from manifests.corpora.vall_e import VallE, VallEHdf5
from manifests.corpus import assign_shards
from manifests.reading.sidecar import MAX_BYTES

CODES = np.arange(8 * 20).reshape(8, 20).astype(np.int16)
METADATA = {"text": "Ab.", "phonemes": "æb.", "language": "english", "original_length": 6400, "sample_rate": 24_000}


class Program:
    """A pickle of it runs a command."""

    def __reduce__(self):
        return (os.system, ("touch ran",))


class Forged:
    """A pickle of it is an array whose type or shape was made up."""

    def __init__(self, of, shape, elements):
        self.state = (1, shape, of, False, elements)

    def __reduce__(self):
        reconstruct, arguments, _ = np.empty(0).__reduce__()
        return (reconstruct, arguments, self.state)


class ObjectsInside:
    """A pickle of it is a type whose fields are addresses, and whose flags deny it."""

    def __reduce__(self):
        return (np.dtype, ("V8", False, True), (3, "|", None, ("f",), {"f": (np.dtype("O"), 0)}, 8, 1, 0))


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
    ("array", "reason"),
    [
        (Forged(ObjectsInside(), (1,), b"\x41" * 8), "of the type 'V8'"),
        (Forged(np.dtype("O"), (1,), b"\x41" * 8), "larger than its data"),
        (Forged(np.dtype("O"), (1_000_000,), []), "larger than its data"),
        (Forged(np.dtype("<i8"), (1_000_000,), b"\x41" * 8), "damaged"),
    ],
)
def test_layouts_that_leave_the_memory_of_an_array_are_refused(tmp_path, array, reason):
    # Numpy itself follows the addresses of the first and reads behind the list of the third.
    save_object(tmp_path / "a.enc", {"codes": CODES, "metadata": {"text": array}})
    with pytest.raises(UnreadableCodes, match=reason):
        read_container(tmp_path / "a.enc")


@pytest.mark.parametrize(
    ("offset", "size", "stride"), [(-5, (6,), (1,)), (0, (2, 2), (5, -5)), (0, (10**12,), (0,)), (15, (6,), (1,))]
)
def test_steps_that_leave_a_storage_are_refused(offset, size, stride):
    with pytest.raises(UnreadableArrays, match="larger than its storage"):
        rebuild(np.arange(20), offset, size, stride)


def test_a_compressed_file_of_tensors_is_refused(tmp_path):
    torch.save(torch.ones(8, 20, dtype=torch.int16), tmp_path / "plain.pt")
    with (
        zipfile.ZipFile(tmp_path / "plain.pt") as plain,
        zipfile.ZipFile(tmp_path / "a.qnt.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    with pytest.raises(UnreadableCodes, match="compressed"):
        read_container(tmp_path / "a.qnt.pt")


@pytest.mark.parametrize("protocol", range(5))
def test_arrays_and_plain_values_come_back(protocol):
    content = {
        "codes": np.arange(6, dtype=">i2").reshape(2, 3, order="F"),
        "names": np.array(["x", "yy"]),
        "objects": np.array([{"a": 1}], dtype=object),
        "number": np.float32(3),
    }
    found = load_arrays(pickle.dumps(content, protocol=protocol))
    assert list(found) == list(content)
    assert all(np.array_equal(found[name], content[name]) for name in content)


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


def test_special_files_and_large_sidecars_are_dropped_rows(tmp_path):
    (tmp_path / "s").mkdir()
    for name in ("good", "long", "nested", "surrogate"):
        write_container(tmp_path / "s" / f"{name}.enc", CODES, METADATA | {"note": "\ud800"})
    (tmp_path / "s" / "long.txt").write_bytes(b"a" * (MAX_BYTES + 1))
    (tmp_path / "s" / "nested.json").write_text("[" * 5_000 + "]" * 5_000)
    (tmp_path / "s" / "surrogate.json").write_text('{"other": "\\udc00"}')
    os.mkfifo(tmp_path / "s" / "pipe.enc")
    (tmp_path / "s" / "device.enc").symlink_to("/dev/zero")
    found = rows_of(VallE(tmp_path))
    assert {json.loads(row.extra)["name"] for row in found if row.drop_reason is None} == {"good", "surrogate"}
    reasons = [row.drop_reason for row in found if row.drop_reason]
    assert reasons == ["unreadable_codes"] * 4


def test_codes_of_another_file_or_beyond_the_memory_are_refused(tmp_path):
    h5py = pytest.importorskip("h5py")
    (tmp_path / "secret").write_bytes(b"secret" * 100)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        outside = [(str(tmp_path / "secret"), 0, 320)]
        file.create_dataset("train/g/s/outside/audio", (20, 8), "int16", external=outside)
        file.create_dataset("train/g/s/large/audio", (1 << 40, 8), "int16", chunks=(1024, 8))
    with h5py.File(tmp_path / "a.h5") as file:
        for item, reason in (("outside", "another file"), ("large", "the shape")):
            with pytest.raises(UnreadableCodes, match=reason):
                read_item(file, f"train/g/s/{item}")
    os.mkfifo(tmp_path / "pipe.h5")
    with pytest.raises(UnreadableCodes, match="not a regular file"):
        list(read_items(tmp_path / "pipe.h5"))
