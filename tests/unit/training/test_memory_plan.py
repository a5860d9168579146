"""The forecast of memory is what a model of full depth allocates, and ZeRO divides what it divides."""

import json

import pytest

from tests.unit.training.toy import make_toy_set
from valle.data.cursor import Cursor
from valle.data.selection.training_set import load_training_set
from valle.model.valle import ValleModel
from valle.training.__main__ import main
from valle.training.data import open_data
from valle.training.engines.memory_estimate import FACTOR, estimate_memory
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


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"depth": 2, "model": "tiny"}, {"precision": "bf16"}, {"model": "20m", "depth": 1, "precision": "bf16"},
        {"trunk": "transformer"}, {"trunk": "retnet"}, {"trunk": "bitnet"}, {"trunk": "mixtral", "experts": 4},
        {"trunk": "mamba", "depth": 1}, {"batch_tokens": 1024, "attention": "matmul"},
    ],
)  # fmt: skip
def test_the_estimate_before_a_start_is_near_the_measured_sizes(training_set, changes):
    options = options_of(training_set, **{"depth": 3} | changes)
    config = model_config(training_set, options)
    batch, _ = next(iter(open_data(training_set, config, options).batches(Cursor(), rank=0, world_size=1, prefetch=1)))
    measured = measure(config, batch, options)
    estimate = estimate_memory(ValleModel(config), options)
    expected = measured.activations * options.batch_tokens / batch.num_slots
    assert expected / FACTOR < estimate.activations < expected * FACTOR
    # Weights, gradients and the two moments of AdamW.
    assert estimate.states == pytest.approx(measured.weights + measured.trained + measured.optimizer, rel=0.01)


def test_the_estimate_of_a_rank_follows_the_plan(training_set):
    options = options_of(training_set, engine="deepspeed", processes=4, zero_stage=2, precision="bf16")
    planned = next(
        one for one in forecast(training_set, **options.model_dump(exclude={"training_set", "run_dir", "batch_tokens"}))
        if (one.precision, one.zero_stage, one.checkpointing) == ("bf16", 2, False)
    )  # fmt: skip
    estimate = estimate_memory(ValleModel(model_config(training_set, options)), options)
    assert estimate.states == pytest.approx(planned.weights + planned.gradients + planned.optimizer, rel=0.01)
    assert planned.activations / FACTOR < estimate.activations < planned.activations * FACTOR
    assert estimate.describe().startswith("Memory of each of 4 ranks, estimated: ")


def test_a_start_prints_the_estimate_and_metrics_have_it(training_set, tmp_path, capsys):
    options = options_of(training_set, max_steps=2, log_every=1, depth=1).model_copy(update={"run_dir": tmp_path / "r"})
    (tmp_path / "run.json").write_text(options.model_dump_json())
    assert main([str(tmp_path / "run.json")]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("Memory, estimated: 0.0")
    lines = [json.loads(line) for line in (tmp_path / "r" / "metrics.jsonl").read_text().splitlines()]
    assert lines[0]["memory_forecast_gb"] == pytest.approx(float(first.split()[2]), abs=0.006)


@pytest.mark.parametrize("name", ["sgd", "muon", "adafactor", "prodigy", "schedule-free"])
def test_optimizers_have_the_state_that_is_estimated(training_set, name):
    given = {"optimizer": name, "depth": 1, "schedule": "constant"}
    options = options_of(training_set, **given)
    config = model_config(training_set, options)
    batch, _ = next(iter(open_data(training_set, config, options).batches(Cursor(), rank=0, world_size=1, prefetch=1)))
    measured = measure(config, batch, options)
    estimate = estimate_memory(ValleModel(config), options)
    expected = measured.weights + measured.trained + measured.optimizer
    assert expected / FACTOR < estimate.states < expected * FACTOR
