import sys

import pytest
import torch

from tests.unit.training.test_engine import make_model
from tests.unit.training.test_loop import changed, lines, weights
from valle.data.selection.training_set import load_training_set
from valle.training.data import open_data
from valle.training.engines.optimizer import make_average, make_optimizer, parameter_groups
from valle.training.engines.schedule import SHAPES, learning_rate
from valle.training.engines.selection import open_engine
from valle.training.loop import train
from warehouse.errors import ConfigurationError, DependencyError

WAYS = {
    "average": {"average_decay": 0.9},
    "schedule-free": {"optimizer": "schedule-free", "schedule": "constant", "learning_rate": 1e-2},
    "prodigy": {"optimizer": "prodigy", "learning_rate": 1.0, "schedule": "linear"},
    "muon": {"optimizer": "muon"},
}
LIBRARIES = {"d-adaptation": "dadaptation", "adamw-8bit": "bitsandbytes", "apollo": "apollo_torch"}
MORE = WAYS | {name: {"optimizer": name} for name in (*LIBRARIES, "apollo-mini", "adafactor", "sgd")}


def test_weight_decay_spares_norms_biases_and_the_separator():
    model = make_model()
    decayed, spared = parameter_groups(model, 0.1)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert {names[id(p)] for p in spared["params"]} == {
        name for name in names.values() if "norm" in name or "bias" in name or name == "separator"
    }
    assert len(decayed["params"]) + len(spared["params"]) == len(names)
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)


@pytest.mark.parametrize("way", MORE)
def test_every_optimizer_goes_on_to_the_bit_after_a_stop(options, tmp_path, way):
    pytest.importorskip(LIBRARIES.get(way.removesuffix("-mini"), "torch"))
    options = changed(options, **MORE[way])
    whole = train(options)
    apart = changed(options, run_dir=tmp_path / "apart")
    train(changed(apart, max_steps=options.max_steps), commands=_StopAfter(3))
    resumed = train(apart)
    assert resumed.step == whole.step
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(resumed)[name]), name


class _StopAfter:
    """Somebody who types quit after some steps."""

    def __init__(self, steps):
        self.steps = steps

    def poll(self):
        self.steps -= 1
        return ["quit"] if self.steps < 0 else []


@pytest.mark.parametrize("way", WAYS)
def test_every_optimizer_learns(options, way):
    options = changed(options, **WAYS[way], max_steps=60, batch_tokens=1500, evaluate_every=30, warmup_steps=5)
    train(options)
    losses = [line["dev_loss"] for line in lines(options) if "dev_loss" in line]
    # What is evaluated is what is saved: the average, or the point of a schedule-free optimizer.
    assert losses[-1] < losses[0]


def test_a_moving_average_follows_the_weights_with_a_rising_decay():
    model = make_model()
    average = make_average(model, 0.9)
    by_hand = model.separator.detach().clone()
    for update in range(1, 31):
        with torch.no_grad():
            model.separator += 1
        average.update_parameters(model)
        decay = min(0.9, update / (9 + update)) if update > 1 else 0.0
        by_hand = decay * by_hand + (1 - decay) * model.separator.detach()
    torch.testing.assert_close(average.module.separator, by_hand)
    assert (average.module.separator < model.separator).all()


def test_an_average_that_is_switched_on_later_begins_with_the_weights_of_then(options):
    before = train(changed(options, max_steps=3))
    after = train(changed(options, max_steps=4, average_decay=0.999, learning_rate=1e-9))
    for name, tensor in weights(before).items():
        torch.testing.assert_close(weights(after)[name], tensor, atol=1e-4, rtol=0)


def test_checkpointed_gradients_are_the_gradients(options):
    gradients = []
    for is_checkpointed in (False, True):
        chosen = changed(options, gradient_checkpointing=is_checkpointed)
        model = make_model()
        engine = open_engine(model, chosen)
        data = open_data(load_training_set(chosen.training_set), model.config, chosen)
        batch = next(data.dev_batches(1))
        assert model.trunk.gradient_checkpointing == is_checkpointed
        engine.accumulate(batch, batch.num_labels)
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    for plain, again in zip(*gradients, strict=True):
        assert torch.equal(plain, again)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_schedule_rises_to_its_peak_and_falls_no_further_than_its_share(shape):
    def rate(step):
        return learning_rate(step, peak=2.0, warmup_steps=10, max_steps=110, final_share=0.1, shape=shape)

    assert rate(5) == pytest.approx(1.04 if shape == "one-cycle" else 1.0)
    assert rate(10) == 2.0
    if shape == "noam":  # knows no end
        assert [rate(40), rate(1000)] == pytest.approx([1.0, 0.2])
        return
    middle, end = {"linear": (1.1, 0.2), "constant": (2.0, 2.0)}.get(shape, (1.1, 0.2))
    assert rate(60) == pytest.approx(middle)
    assert rate(110) == rate(500) == pytest.approx(end)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"engine": "deepspeed", "optimizer": "prodigy"}, "only the plain engine"),
        ({"engine": "deepspeed", "average_decay": 0.9}, "only the plain engine"),
        ({"engine": "deepspeed", "precision": "fp8"}, "no fp8"),
        ({"optimizer": "schedule-free"}, "schedule to constant"),
        ({"length_ratio": 0.6, "transcription_ratio": 0.6}, "at most 1"),
        ({"codebook_schedule_epochs": (5, 5)}, "two rising epochs"),
    ],
)
def test_options_that_contradict_each_other_are_one_sentence(options, changes, message):
    with pytest.raises(ValueError, match=message):
        changed(options, **changes)


def test_a_library_or_device_that_is_missing_is_one_sentence(options, monkeypatch):
    monkeypatch.setitem(sys.modules, "dadaptation", None)
    with pytest.raises(DependencyError, match=r"needs dadaptation .*install it with"):
        open_engine(make_model(), changed(options, optimizer="d-adaptation"))
    with pytest.raises(ConfigurationError, match="fp8 needs a GPU"):
        open_engine(make_model(), changed(options, precision="fp8"))


def test_muon_updates_the_trunk_and_adamw_the_rest(options):
    model = make_model()
    optimizer = make_optimizer(model, changed(options, optimizer="muon"))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    muon, *rest = optimizer.param_groups
    assert all(names[id(parameter)].startswith("trunk.blocks") for parameter in muon["params"])
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(names)
    assert {"ids.weight", "heads.weight"} <= {names[id(p)] for group in rest for p in group["params"]}


@pytest.mark.long
def test_a_compiled_trunk_computes_the_same_losses(options):
    losses = []
    for is_compiled in (False, True):
        chosen = changed(options, compile=is_compiled, run_dir=options.run_dir / str(is_compiled))
        train(chosen)
        losses.append([line["loss"] for line in lines(chosen) if "loss" in line])
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)
