import json

import pytest
import torch
from safetensors.torch import load_file

from tests.unit.training.toy import SPEC, SYMBOLS
from valle.checkpoints.checkpoint import load_model
from valle.data.selection.training_set import load_training_set
from valle.model.config import preset
from valle.model.valle import ValleModel
from valle.training.commands import NoCommands
from valle.training.data import open_data
from valle.training.engines.deepspeed_config import deepspeed_config
from valle.training.engines.engine import PlainEngine
from valle.training.loop import train
from warehouse.errors import ConfigurationError


@pytest.fixture
def options(options):
    """Longer and faster than those of the other tests, so that precisions have the time to differ."""
    return options.model_copy(update={"max_steps": 40, "learning_rate": 5e-3, "batch_tokens": 400, "save_every": 500})


class StopAt(NoCommands):
    def __init__(self, step):
        self.left = step + 1

    def poll(self):
        self.left -= 1
        return ["quit"] if self.left == 0 else []


def losses(options):
    lines = map(json.loads, (options.run_dir / "metrics.jsonl").read_text().splitlines())
    return [line["loss"] for line in lines if "loss" in line]


def is_rounded(weights, dtype):
    return all(torch.equal(tensor, tensor.to(dtype).float()) for tensor in weights.values())


@pytest.mark.parametrize(
    ("engine", "precision", "dtype"),
    [
        ("plain", "bf16", torch.bfloat16),
        ("plain", "fp16", torch.float16),
        ("deepspeed", "bf16", torch.bfloat16),
    ],
)
def test_half_precision_learns_and_its_checkpoint_has_the_full_weights(options, engine, precision, dtype):
    options = options.model_copy(update={"engine": engine, "precision": precision})
    result = train(options)
    seen = losses(options)
    assert len(seen) == 40
    assert sum(seen[-5:]) < 0.8 * sum(seen[:5])
    weights = load_file(result.checkpoint / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    assert not is_rounded(weights, dtype)
    model, card = load_model(result.checkpoint)
    assert card.options["precision"] == precision
    assert next(model.parameters()).dtype == torch.float32


def test_an_fp16_run_that_was_stopped_and_continued_ends_with_the_same_bits(options, tmp_path):
    options = options.model_copy(update={"precision": "fp16", "max_steps": 6})
    straight = load_file(train(options).checkpoint / "model.safetensors")
    again = options.model_copy(update={"run_dir": tmp_path / "again"})
    assert train(again, commands=StopAt(3)).step == 3
    resumed = load_file(train(again).checkpoint / "model.safetensors")
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)


def test_an_overflow_leaves_the_weights_and_halves_the_scale_until_it_fits(options):
    options = options.model_copy(update={"precision": "fp16"})
    torch.manual_seed(0)
    model = ValleModel(preset("nano", SPEC, num_symbols=len(SYMBOLS), languages=["en"]))
    batch = next(open_data(load_training_set(options.training_set), model.config, options).dev_batches(1))
    engine = PlainEngine(model, options)
    engine._scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    engine.accumulate(batch, len(batch.labels))
    assert engine.update(1e-3) is None
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert engine._scaler.get_scale() == 2.0**23
    norms = []
    for _ in range(20):
        engine.accumulate(batch, len(batch.labels))
        norms.append(engine.update(1e-3))
    assert norms[-1] is not None
    assert not all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_gradient_that_no_scale_makes_finite_is_reported(options):
    options = options.model_copy(update={"precision": "fp16"})
    model = ValleModel(preset("nano", SPEC, num_symbols=len(SYMBOLS), languages=["en"]))
    batch = next(open_data(load_training_set(options.training_set), model.config, options).dev_batches(1))
    engine = PlainEngine(model, options)
    engine._scaler = torch.amp.GradScaler("cpu", init_scale=1.0)
    engine.accumulate(batch, len(batch.labels))
    next(model.parameters()).grad.fill_(float("inf"))
    assert engine.update(1e-3) == float("inf")


def test_deepspeed_refuses_fp16_where_there_is_no_gpu(options):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ConfigurationError, match="choose the precision bf16 or fp32"):
        train(options.model_copy(update={"engine": "deepspeed", "precision": "fp16"}))


def test_deepspeed_gets_a_loss_scale_that_moves(options):
    config = deepspeed_config(options.model_copy(update={"engine": "deepspeed", "precision": "fp16"}))
    assert (config["fp16"]["enabled"], config["fp16"]["loss_scale"], config["bf16"]["enabled"]) == (True, 0, False)
