"""Folders of e-c-k-e-r/vall-e, without any audio: prepared, selected and trained on by three commands."""

import numpy as np
import pytest

from manifests.codes.containers import write_container
from valle.checkpoints.runs import latest_checkpoint
from valle.cli import main
from valle.data.selection.training_set import load_training_set

pytestmark = pytest.mark.long


def test_a_training_set_of_containers_trains(tmp_path, monkeypatch):
    codes = {}
    for number in range(6):
        folder = tmp_path / "theirs" / "group" / f"speaker{number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        codes[number] = np.random.default_rng(number).integers(0, 1024, (8, 90 + number)).astype(np.int16)
        metadata = {
            "text": "Seven boats came back.",
            "phonemes": "sˈɛvən bˈoʊts kˈeɪm bˈæk.",
            "language": "english",
            "original_length": codes[number].shape[1] * 320,
            "sample_rate": 24_000,
        }
        write_container(folder / f"clip{number}.enc", codes[number], metadata)
    monkeypatch.setenv("VALLE_DATA", str(tmp_path / "data"))
    corpus = ["--corpus.kind", "vall-e", "--corpus.root", str(tmp_path / "theirs"), "--corpus.name", "theirs"]
    assert main(["prepare", *corpus]) == 0
    none = ["--selection.split-policy.dev", "0", "--selection.split-policy.test", "0"]
    assert main(["select", "--selection.name", "theirs", "--codec", "encodec_24khz", *none]) == 0
    items = load_training_set(tmp_path / "data" / "training_sets" / "theirs").items
    assert sorted(items["num_frames"].to_pylist()) == [block.shape[1] for block in codes.values()]
    options = ["--options.model", "nano", "--options.max-steps", "2", "--options.batch-tokens", "400"]
    assert main(["train", "--training-set", "theirs", "--run", "theirs", "--options.engine", "plain", *options]) == 0
    assert latest_checkpoint(tmp_path / "data" / "runs" / "theirs").name == "step-00000002"
