"""Linear layers in 8 bits: near those in fp32, row by row, and refused where they cannot be."""

import numpy as np
import pytest
import torch

from tests.unit.model.rows import STOP, random_row, small_model
from valle.model.adapters.lora import LoraAdapter
from valle.model.adapters.options import LoraOptions
from valle.model.batch import make_batch
from valle.model.layout import Mode
from valle.model.trunks.cpu.few_rows import FewRowsLinear
from valle.model.trunks.cpu.int8 import Int8Linear, use_int8
from valle.tasks.tts import TTS
from warehouse.errors import ConfigurationError

AR = TTS.layout(Mode.AR)


@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_the_product_in_8_bits_is_near_that_in_fp32_and_of_each_row_alone(bias):
    torch.manual_seed(0)
    layer = FewRowsLinear(96, 64, bias=bias)
    x = torch.randn(3, 5, 96) * torch.tensor([1e-3, 1.0, 100.0])[:, None, None]
    found, expected = Int8Linear(layer)(x), layer(x)
    bound = 0.03 * (expected - (layer.bias if bias else 0)).norm(dim=-1)
    assert bool(((found - expected).norm(dim=-1) < bound).all())
    alone = torch.stack([Int8Linear(layer)(row[None])[0] for row in x.flatten(0, 1)])
    assert torch.equal(found.flatten(0, 1), alone)
    assert torch.equal(Int8Linear(FewRowsLinear(96, 64, bias=False))(torch.zeros(2, 96)), torch.zeros(2, 64))


def test_the_layers_of_a_trunk_are_those_that_numbers_of_8_bits_replace():
    model = small_model(trunk="transformer")
    use_int8(model)
    kinds = [type(layer) for layer in model.trunk.modules()]
    assert kinds.count(Int8Linear) == 4 * model.config.depth
    assert FewRowsLinear not in kinds


@pytest.mark.parametrize("changes", [{}, {"trunk": "transformer"}, {"trunk": "retnet"}, {"trunk": "mamba"}])
@torch.inference_mode()
def test_logits_in_8_bits_are_near_and_steps_agree_with_full_rows(changes):
    model = small_model(**changes)
    rng = np.random.default_rng(0)
    row = random_row(rng, frames=6)
    batch = make_batch(AR, [row], model.config)
    plain = model(batch)
    use_int8(model)
    rounded = model(batch)
    assert 0 < (rounded - plain).norm() < 0.1 * plain.norm()
    cache = model.new_cache()
    model.prefill(make_batch(AR, [random_row(np.random.default_rng(0), frames=0)], model.config), cache)
    given = random_row(np.random.default_rng(0), frames=0)
    target = rng.integers(0, STOP, 8)
    fed = [model.step(AR, torch.tensor([[code]]), torch.tensor([step]), cache) for step, code in enumerate(target)]
    full = make_batch(AR, [with_target(given, target)], model.config)
    expected = model(full)[full.last_predictions]
    # Sums in another order are rounded to another of 255 steps now and then.
    assert (fed[-1][:, 0] - expected).norm() < 0.05 * expected.norm()


def with_target(row, target):
    codes = np.zeros((8, len(target)), dtype=np.int16)
    codes[0] = target
    return TTS.row(row.fields["text"], 1, 0, row.fields["prompt"], codes)


def with_adapter():
    model = small_model()
    model.adapters.attach(model, "voice", LoraAdapter(model, LoraOptions(rank=2)))
    return model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: small_model(trunk="bitnet"), "plain linear layers, not for those of bitnet"),
        (lambda: small_model(trunk="mixtral", experts=2), "not for those of mixtral"),
        (with_adapter, "leave out --lora"),
        (lambda: small_model().to("meta"), "needs an x86 CPU"),
    ],
)
def test_8_bits_are_refused_in_a_sentence_where_they_cannot_be(model, message):
    with pytest.raises(ConfigurationError, match=message):
        use_int8(model())
