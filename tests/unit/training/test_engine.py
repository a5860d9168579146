import pytest
import torch

from tests.unit.training.toy import SPEC, SYMBOLS, make_toy_set
from valle.data.selection.training_set import load_training_set
from valle.model.config import preset
from valle.model.loss import sequence_loss
from valle.model.valle import ValleModel
from valle.training.data import open_data
from valle.training.engines.deepspeed_config import deepspeed_config
from valle.training.engines.engine import PlainEngine
from valle.training.engines.process_group import is_single_node, single_process_environment
from valle.training.options import TrainOptions


@pytest.fixture
def options(tmp_path):
    return TrainOptions(
        training_set=make_toy_set(tmp_path / "toy"), run_dir=tmp_path / "run", batch_tokens=200, gradient_clip=1e6
    )


def make_model():
    torch.manual_seed(0)
    return ValleModel(preset("nano", SPEC, num_symbols=len(SYMBOLS), languages=["en"]))


def test_accumulated_batches_give_the_gradient_of_their_mean_over_all_labels(options):
    model = make_model()
    data = open_data(load_training_set(options.training_set), model.config, options)
    batches = list(data.dev_batches(3))
    assert len({len(batch.labels) for batch in batches}) > 1
    divisor = sum(len(batch.labels) for batch in batches)
    together = sum(sequence_loss(model(batch), batch).total for batch in batches) / divisor
    expected = torch.autograd.grad(together, list(model.parameters()))
    engine = PlainEngine(model, options)
    for batch in batches:
        engine.accumulate(batch, divisor)
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-6, rtol=1e-4)


def test_the_gradient_is_clipped_to_its_norm_and_then_forgotten(options):
    model = make_model()
    data = open_data(load_training_set(options.training_set), model.config, options)
    batch = next(data.dev_batches(1))
    engine = PlainEngine(model, options)
    engine.accumulate(batch, len(batch.labels))
    by_hand = torch.stack([parameter.grad.norm() for parameter in model.parameters()]).norm()
    assert engine.update(1e-3) == pytest.approx(float(by_hand), rel=1e-5)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_bf16_losses_stay_near_fp32_ones(options):
    data = open_data(load_training_set(options.training_set), make_model().config, options)
    batch = next(data.dev_batches(1))
    full = PlainEngine(make_model(), options).evaluate(batch)
    half = PlainEngine(make_model(), options.model_copy(update={"precision": "bf16"})).evaluate(batch)
    assert float(half.total) == pytest.approx(float(full.total), rel=0.02)
    assert float(half.total) != float(full.total)


def test_the_deepspeed_configuration_follows_from_the_options(options):
    changed = options.model_copy(update={"zero_stage": 2, "accumulate": 3, "precision": "bf16", "gradient_clip": 0.5})
    config = deepspeed_config(changed)
    assert config["zero_optimization"]["stage"] == 2
    assert config["gradient_accumulation_steps"] == 3
    assert config["bf16"] == {"enabled": True}
    assert config["gradient_clipping"] == 0.5
    assert deepspeed_config(options)["bf16"] == {"enabled": False}


def test_a_launcher_s_environment_is_left_alone_and_a_missing_one_filled_in():
    launched = {"WORLD_SIZE": "4", "RANK": "2"}
    single_process_environment(launched)
    assert launched == {"WORLD_SIZE": "4", "RANK": "2"}
    alone = {}
    single_process_environment(alone)
    assert (alone["WORLD_SIZE"], alone["RANK"], alone["MASTER_ADDR"]) == ("1", "0", "127.0.0.1")
    assert is_single_node(alone)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, True),
        ({"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "host"}, True),
        ({"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}, False),
        ({"WORLD_SIZE": "2", "LOCAL_SIZE": "2"}, True),
        ({"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}, True),
        ({"WORLD_SIZE": "2", "MASTER_ADDR": "10.0.0.1"}, False),
    ],
)
def test_a_launch_on_one_node_is_told_from_one_on_several(environment, expected):
    assert is_single_node(environment) is expected
