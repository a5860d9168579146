import io
import json
import math
import time

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from tests.unit.training.toy import make_toy_set
from valle.checkpoints.checkpoint import load_model
from valle.checkpoints.runs import FORMAT
from valle.training.__main__ import main
from valle.training.commands import TypedCommands
from valle.training.engines.schedule import learning_rate
from valle.training.loop import train
from valle.training.options import TrainOptions
from warehouse.errors import CheckpointError


def test_every_option_has_a_description_and_only_the_two_paths_lack_a_default():
    fields = TrainOptions.model_fields
    assert all(field.description for field in fields.values())
    assert {name for name, field in fields.items() if field.is_required()} == {"training_set", "run_dir"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"learning_rat": 1e-3},
        {"prompt_seconds": (6, 3)},
        {"zero_stage": 4},
        {"max_steps": 0},
        {"codebook_schedule": "equal"},
        {"precision": "fp64"},
        {"engine": "deepspeed", "precision": "bf16", "zero_stage": 0},
    ],
)
def test_wrong_options_are_refused(tmp_path, wrong):
    with pytest.raises(ValidationError):
        TrainOptions(training_set=tmp_path, run_dir=tmp_path, **wrong)


def test_options_survive_json(tmp_path):
    options = TrainOptions(training_set=tmp_path, run_dir=tmp_path / "run", codebook_weights=(1, 0), max_seconds=5)
    assert TrainOptions.model_validate_json(options.model_dump_json()) == options
    assert options.name == "run"


def test_the_learning_rate_rises_in_a_line_and_falls_in_half_a_cosine():
    rate = {
        step: learning_rate(step, peak=2.0, warmup_steps=10, max_steps=110, final_share=0.1) for step in range(1, 120)
    }
    assert [rate[1], rate[5], rate[10]] == pytest.approx([0.2, 1.0, 2.0])
    assert rate[60] == pytest.approx(2.0 * 0.55)
    assert rate[110] == rate[119] == pytest.approx(0.2)
    assert rate[35] == pytest.approx(2.0 * (0.1 + 0.9 * (1 + math.cos(math.pi / 4)) / 2))
    assert learning_rate(1, peak=2.0, warmup_steps=0, max_steps=1, final_share=0.1) == pytest.approx(0.2)


def test_typed_lines_are_polled_once():
    commands = TypedCommands(io.StringIO("save\n quit \n"))
    seen, end = [], time.monotonic() + 300
    while len(seen) < 2 and time.monotonic() < end:
        seen += commands.poll()
    assert seen == ["save", "quit"]
    assert commands.poll() == []


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    home = tmp_path_factory.mktemp("trained")
    return train(
        TrainOptions(training_set=make_toy_set(home), run_dir=home / "run", model="nano", max_steps=1, batch_tokens=200)
    )


def test_loading_a_model_leaves_the_random_numbers_of_the_caller_alone(trained):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    model, card = load_model(trained.checkpoint)
    assert torch.equal(torch.rand(3), expected)
    assert not model.training
    assert model.config == card.model


def test_a_checkpoint_that_is_not_one_is_one_sentence(tmp_path, trained):
    with pytest.raises(CheckpointError, match="no checkpoint in"):
        load_model(tmp_path)
    (tmp_path / "checkpoint.json").write_text(json.dumps({"format": FORMAT, "model": {}}))
    with pytest.raises(CheckpointError, match="no card"):
        load_model(tmp_path)
    card = json.loads((trained.checkpoint / "checkpoint.json").read_text())
    (tmp_path / "checkpoint.json").write_text(json.dumps(card))
    tensors = load_file(trained.checkpoint / "model.safetensors")
    save_file(tensors | {"separator": torch.zeros(3)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="size mismatch for separator"):
        load_model(tmp_path)
    (tmp_path / "checkpoint.json").write_text(json.dumps(card | {"format": FORMAT - 1}))
    with pytest.raises(CheckpointError, match="another version"):
        load_model(tmp_path)


def test_the_command_prints_one_line_per_report_and_the_checkpoint_at_the_end(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    options = TrainOptions(
        training_set=make_toy_set(tmp_path / "toy"),
        run_dir=tmp_path / "run",
        model="nano",
        max_steps=4,
        log_every=2,
        batch_tokens=200,
    )
    file = tmp_path / "run.json"
    file.write_text(options.model_dump_json())
    assert main(["--local_rank=0", str(file)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("Memory, estimated:")
    assert [line.split()[1] for line in printed[1:4]] == ["2/4", "4/4", "4"]
    assert "ETA 0:00:00" in printed[2]
    assert printed[-1].startswith("finished at step 4")
    assert printed[-1].endswith("step-00000004")


def test_the_command_says_what_is_wrong_in_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert main([]) == 2
    assert main([str(tmp_path / "none.json")]) == 1
    options = TrainOptions(training_set=tmp_path, run_dir=tmp_path / "run")
    file = tmp_path / "run.json"
    file.write_text(options.model_dump_json())
    capsys.readouterr()
    assert main([str(file)]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
