"""Adaptation of a checkpoint to the codec of another training set."""

import dataclasses

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import torch

from tests.unit.training.toy import SPEC, make_toy_set
from valle.checkpoints.checkpoint import load_model, read_card
from valle.cli import main
from valle.training import adapt_codec
from valle.training.adapt_codec import adapt_checkpoint
from valle.training.loop import train
from warehouse.errors import CheckpointError

OTHER = dataclasses.replace(SPEC, name="other", revision="2")


@pytest.fixture
def checkpoint(options):
    return train(options.model_copy(update={"max_steps": 1})).checkpoint


@pytest.fixture
def catalogue():
    """Codes of twenty segments by two codecs; the other one has n + 1 for n. Only one of them has one more segment."""
    rng = np.random.default_rng(0)
    rows = []
    for segment in range(20):
        codes = rng.integers(0, SPEC.codebook_size, (8, 400), dtype=np.int16)
        for label, stored in (("toy@1", codes), ("other@2", (codes + 1) % SPEC.codebook_size)):
            if segment or label == "toy@1":
                levels = {f"q{level}": some for level, some in enumerate(stored)}
                rows.append({"segment_id": str(segment), "codec": label, "num_frames": 400} | levels)
    connection = duckdb.connect()
    connection.register("codes_of_both", pa.Table.from_pylist(rows))
    connection.execute("CREATE TABLE codes AS SELECT * FROM codes_of_both")
    return connection


def test_the_adapted_model_has_the_vectors_of_the_other_codec(checkpoint, catalogue, tmp_path, monkeypatch):
    monkeypatch.setattr(adapt_codec, "MIN_FRAMES", 7_000)
    assert adapt_checkpoint(checkpoint, OTHER, catalogue, tmp_path / "out") == 19 * 400
    (before, card), (after, its_card) = load_model(checkpoint), load_model(tmp_path / "out")
    assert its_card == dataclasses.replace(card, codec=OTHER, files=its_card.files)
    prompts = [model.prompt_codes.weight.view(8, SPEC.codebook_size, -1) for model in (before, after)]
    cosine = torch.cosine_similarity(prompts[1].roll(-1, 1), prompts[0], dim=2)
    assert cosine.mean() > 0.95


def test_too_little_speech_of_both_says_what_to_do(checkpoint, catalogue, tmp_path):
    with pytest.raises(CheckpointError, match=r"7600 frames .* quantize a corpus with both"):
        adapt_checkpoint(checkpoint, OTHER, catalogue, tmp_path / "out")
    catalogue.execute("DELETE FROM codes")
    with pytest.raises(CheckpointError, match="has 0 frames"):
        adapt_checkpoint(checkpoint, OTHER, catalogue, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_adapted_is_refused(checkpoint, catalogue, tmp_path):
    with pytest.raises(CheckpointError, match="already"):
        adapt_checkpoint(checkpoint, read_card(checkpoint).codec, catalogue, tmp_path / "out")
    with pytest.raises(CheckpointError, match="another shape"):
        adapt_checkpoint(checkpoint, dataclasses.replace(OTHER, codebook_size=64), catalogue, tmp_path / "out")
    tmp_path.joinpath("out").mkdir()
    with pytest.raises(CheckpointError, match="exists"):
        adapt_checkpoint(checkpoint, OTHER, catalogue, tmp_path / "out")


def test_the_command_adapts_the_newest_checkpoint_of_a_run_to_the_codec_of_a_set(options, tmp_path, capsys):
    data = tmp_path / "data"
    make_toy_set(data)
    train(options.model_copy(update={"max_steps": 1, "run_dir": data / "runs" / "mine"}))
    out = str(tmp_path / "out")
    asked = ["adapt-codec", "--data", str(data), "--run", "mine", "--out", out, "--training-set"]
    assert main([*asked, "toy"]) == 1
    assert "already has the codes of toy@1" in capsys.readouterr().err
    make_toy_set(tmp_path / "other", spec=OTHER)
    (tmp_path / "other" / "training_sets" / "toy").rename(data / "training_sets" / "theirs")
    assert main([*asked, "theirs"]) == 1
    assert "0 frames of speech with codes of both toy@1 and other@2" in capsys.readouterr().err
