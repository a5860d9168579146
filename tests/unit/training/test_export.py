"""A checkpoint to give away, and the one that comes with the package."""

import dataclasses

import pytest
import torch

from valle.checkpoints.checkpoint import load_model, read_card
from valle.checkpoints.runs import EMBEDDED, find_run
from valle.cli import main
from valle.synthesis.options import SamplingOptions, read_sampling
from valle.tensors import write_tensors
from valle.training.export import export_checkpoint, export_file
from valle.training.loop import train
from warehouse.errors import CheckpointError


@pytest.fixture
def checkpoint(options):
    return train(options.model_copy(update={"max_steps": 1})).checkpoint


def test_an_exported_checkpoint_is_half_as_large_and_the_same_model(checkpoint, tmp_path):
    out = tmp_path / "given"
    size = export_checkpoint(checkpoint, out)
    (model, card), (exported, its_card) = load_model(checkpoint), load_model(out)
    assert dataclasses.replace(its_card, options=card.options, files=card.files) == card
    assert size < 0.6 * (checkpoint / "model.safetensors").stat().st_size
    for name, weight in model.state_dict().items():
        assert torch.equal(exported.state_dict()[name], weight.half().float()), name


def test_a_card_that_is_given_away_names_no_place_of_the_maker(checkpoint, tmp_path):
    export_checkpoint(checkpoint, tmp_path / "given", name="mine")
    card = read_card(tmp_path / "given")
    assert (card.run_id, card.checkpoint_id) == ("mine", "mine-1")
    assert str(tmp_path) not in (tmp_path / "given" / "checkpoint.json").read_text()
    assert card.options["learning_rate"] == read_card(checkpoint).options["learning_rate"]


def test_a_checkpoint_says_how_it_speaks_by_default(options, tmp_path):
    trained = train(options.model_copy(update={"max_steps": 1, "sampling": SamplingOptions(top_k=7)})).checkpoint
    assert read_sampling(trained) == SamplingOptions(top_k=7)
    export_checkpoint(trained, tmp_path / "same")
    export_checkpoint(trained, tmp_path / "other", sampling=SamplingOptions(guidance=2))
    assert read_sampling(tmp_path / "same") == SamplingOptions(top_k=7)
    assert read_sampling(tmp_path / "other") == SamplingOptions(guidance=2)


def test_the_state_of_the_trainer_is_not_exported(checkpoint, tmp_path):
    export_checkpoint(checkpoint, tmp_path / "given")
    assert sorted(path.name for path in (tmp_path / "given").iterdir()) == ["checkpoint.json", "model.safetensors"]


def test_what_exists_is_never_written_over(checkpoint, tmp_path):
    with pytest.raises(CheckpointError, match="exists; give a name"):
        export_checkpoint(checkpoint, tmp_path)


def test_a_directory_without_a_checkpoint_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="There is no checkpoint"):
        export_checkpoint(tmp_path / "nothing", tmp_path / "given")
    assert not (tmp_path / "given").exists()


def test_a_run_of_ones_own_hides_the_embedded_one_of_its_name(tmp_path):
    embedded = find_run(tmp_path, EMBEDDED)
    assert embedded.parent != tmp_path
    (tmp_path / EMBEDDED).mkdir()
    assert find_run(tmp_path, EMBEDDED) == tmp_path / EMBEDDED
    assert find_run(tmp_path, "other") == tmp_path / "other"


def test_the_command_exports_the_newest_checkpoint_of_a_run(options, tmp_path, capsys):
    run_dir = tmp_path / "data" / "runs" / "mine"
    train(options.model_copy(update={"max_steps": 1, "run_dir": run_dir}))
    asked = ["export", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "given"), "--run"]
    assert main([*asked, "mine"]) == 0
    assert "speaks with it" in capsys.readouterr().out
    assert load_model(tmp_path / "given")[1].run_id == "mine"
    assert main([*asked, "yours"]) == 1
    assert "Run yours has no checkpoint" in capsys.readouterr().err


def test_one_file_has_everything_that_speaking_needs(checkpoint, tmp_path):
    out = tmp_path / "given.sft"
    assert export_file(checkpoint, out, name="mine") == out.stat().st_size
    (model, card), (exported, its_card) = load_model(checkpoint), load_model(out)
    assert (its_card.codec, its_card.phoneme_symbols, its_card.metrics) == (
        card.codec,
        card.phoneme_symbols,
        card.metrics,
    )
    assert its_card.checkpoint_id == "mine-1"
    for name, weight in model.state_dict().items():
        assert torch.equal(exported.state_dict()[name], weight.half().float()), name
    assert read_sampling(out) == read_sampling(checkpoint)


def test_a_file_of_others_is_refused_with_the_command_that_reads_it(tmp_path):
    path = tmp_path / "theirs.sft"
    write_tensors(path, {"a": torch.zeros(1)})
    with pytest.raises(CheckpointError, match="valle import weights"):
        read_card(path)
