"""A file extends the configuration of DeepSpeed; what the options of a run set is refused in it."""

import json

import pytest
import torch
from safetensors.torch import load_file

from tests.unit.training.toy import make_toy_set
from valle.checkpoints.runs import checkpoint_directory
from valle.data.selection.training_set import load_training_set
from valle.training.__main__ import main
from valle.training.engines.deepspeed_config import deepspeed_config, read_deepspeed_config
from valle.training.engines.selection import open_engine
from valle.training.initialization import model_config
from valle.training.loop import ValleModel, train
from valle.training.options import TrainOptions
from warehouse.errors import ConfigurationError

OFFLOAD = {"zero_optimization": {"offload_optimizer": {"device": "cpu"}, "reduce_bucket_size": 123_456}}


@pytest.fixture
def options(tmp_path):
    return TrainOptions(
        training_set=make_toy_set(tmp_path / "toy"), run_dir=tmp_path / "run", model="nano", batch_tokens=300,
        prompt_seconds=(0.1, 0.2), max_steps=3, engine="deepspeed", zero_stage=2,
    )  # fmt: skip


def with_file(options, content):
    file = options.training_set.parent / "deepspeed.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return options.model_copy(update={"deepspeed_config": file})


def test_keys_of_the_file_extend_those_of_the_options(options):
    config = deepspeed_config(with_file(options, OFFLOAD | {"comms_logger": {"enabled": True}}))
    assert config["zero_optimization"] == {"stage": 2, "overlap_comm": True, **OFFLOAD["zero_optimization"]}
    assert config["comms_logger"] == {"enabled": True}
    assert config["gradient_accumulation_steps"] == 1


def test_every_key_that_the_options_own_is_refused_in_one_sentence(options, capsys):
    owned = {
        "train_batch_size": 4, "optimizer": {"type": "Adam"}, "bf16": {"enabled": True}, "zero_optimisation": {},
        "zero_optimization": {"stage": 3, "offload_param": {"device": "cpu"}},
        "activation_checkpointing": {"cpu_checkpointing": True}, "compression_training": {},
    }  # fmt: skip
    changed = with_file(options, owned)
    with pytest.raises(ConfigurationError) as refused:
        read_deepspeed_config(changed.deepspeed_config)
    assert str(refused.value).startswith(
        f"{changed.deepspeed_config} has keys of DeepSpeed that a file cannot set: train_batch_size (option "
        "batch_tokens, accumulate and processes), optimizer (option optimizer, learning_rate, betas and weight_decay), "
        "bf16 (option precision), zero_optimisation, zero_optimization.stage (option zero_stage), "
        "activation_checkpointing (option gradient_checkpointing), compression_training (option trunk=bitnet); leave "
        "them out."
    )
    (options.training_set.parent / "run.json").write_text(changed.model_dump_json())
    assert main([str(options.training_set.parent / "run.json")]) == 1
    assert capsys.readouterr().err == f"{refused.value}\n"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "cannot be read"),
        ("[]", "is no JSON object"),
        ('{"zero_optimization": 2}', r"zero_optimization \(no object\)"),
    ],
)
def test_a_file_of_another_form_is_refused(options, content, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        deepspeed_config(with_file(options, content))


def test_the_file_needs_deepspeed(options):
    changed = with_file(options, OFFLOAD)
    with pytest.raises(ValueError, match="needs the engine deepspeed"):
        TrainOptions(**{**changed.model_dump(), "engine": "plain"})


@pytest.mark.slow
def test_offloading_reaches_the_engine_and_trains_the_same_weights(options):
    train(options)
    changed = with_file(options.model_copy(update={"run_dir": options.run_dir.parent / "offloaded"}), OFFLOAD)
    train(changed)
    here, offloaded = (
        load_file(checkpoint_directory(one.run_dir, 3) / "model.safetensors") for one in (options, changed)
    )
    assert all(torch.allclose(here[name], offloaded[name], atol=1e-6) for name in here)
    engine = open_engine(ValleModel(model_config(load_training_set(changed.training_set), changed)), changed)
    assert engine._engine.zero_reduce_bucket_size() == 123_456
    assert engine._engine.zero_offload_optimizer().device == "cpu"
