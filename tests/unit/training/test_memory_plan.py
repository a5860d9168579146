"""The forecast of memory is what a model of full depth allocates, and ZeRO divides what it divides."""

import pytest

from tests.unit.training.toy import make_toy_set
from valle.data.cursor import Cursor
from valle.data.selection.training_set import load_training_set
from valle.training.data import open_data
from valle.training.initialization import model_config
from valle.training.memory_plan import forecast_memory, measure, memory_table
from valle.training.options import TrainOptions


@pytest.fixture(scope="module")
def training_set(tmp_path_factory):
    return load_training_set(make_toy_set(tmp_path_factory.mktemp("toy")))


def options_of(training_set, **changes):
    given = {"model": "nano", "depth": 5, "batch_tokens": 512, "training_set": training_set.directory, "threads": 1}
    return TrainOptions(**given | {"run_dir": training_set.directory} | changes)


def forecast(training_set, **changes):
    return forecast_memory(training_set, options_of(training_set, **changes), models=["nano"])


def test_the_sizes_of_many_layers_follow_from_those_of_one_and_two(training_set):
    options = options_of(training_set)
    config = model_config(training_set, options)
    batch, _ = next(iter(open_data(training_set, config, options).batches(Cursor(), rank=0, world_size=1, prefetch=1)))
    one, two, five = (measure(config.model_copy(update={"depth": depth}), batch, options) for depth in (1, 2, 5))
    expected = one.extrapolate(two, 4)
    assert (expected.weights, expected.trained) == (five.weights, five.trained)
    assert expected.optimizer == pytest.approx(five.optimizer, rel=0.01)
    assert expected.activations == pytest.approx(five.activations, rel=0.01)
    # AdamW holds two moments of every weight; what it holds per tensor is little.
    assert five.optimizer == pytest.approx(2 * five.weights, rel=0.01)


def test_zero_divides_the_optimizer_then_gradients_then_weights(training_set):
    rows = forecast(training_set, engine="deepspeed", processes=4)
    zero = {one.zero_stage: one for one in rows if one.precision == "fp32" and not one.checkpointing}
    for name, first in (("optimizer", 1), ("gradients", 2), ("weights", 3)):
        sizes = [getattr(zero[stage], name) for stage in range(4)]
        assert sizes == [sizes[0] / 4 if stage >= first else sizes[0] for stage in range(4)]
    half = {one.zero_stage: one for one in rows if one.precision == "bf16"}
    assert set(half) == {1, 2, 3}
    assert half[1].weights == zero[1].weights / 2
    assert half[1].optimizer == pytest.approx(zero[0].optimizer / 4 + zero[0].weights / 4)


def test_more_slots_need_more_and_checkpointing_and_half_precision_less(training_set):
    small, large = (forecast(training_set, batch_tokens=slots) for slots in (512, 2048))
    assert large[0].activations == pytest.approx(4 * small[0].activations, rel=0.15)
    (stored, recomputed), (half, _) = small[:2], small[2:]
    assert recomputed.activations < 0.6 * stored.activations
    assert half.activations < stored.activations
    assert (stored.weights, stored.gradients) == (half.weights, half.gradients)


def test_each_model_is_in_the_table_and_a_column_without_values_is_not(training_set):
    asked = options_of(training_set, depth=0, batch_tokens=128)
    table = memory_table(forecast_memory(training_set, asked, models=["nano", "tiny"]))
    assert set(table["model"].to_pylist()) == {"nano", "tiny"}
    assert "zero_stage" not in table.column_names
