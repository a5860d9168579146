"""The step of few rows on a CPU computes what the modules compute."""

import numpy as np
import pytest
import torch

from tests.unit.model.rows import STOP, random_row, small_model
from valle.model.adapters.lora import LoraAdapter
from valle.model.adapters.options import LoraOptions
from valle.model.batch import make_batch
from valle.model.layout import Mode
from valle.model.trunks import llama
from valle.model.trunks.cpu.lean_step import MOST_ROWS
from valle.tasks.tts import TTS

AR = TTS.layout(Mode.AR)
MODELS = {
    "plain": {},
    "grouped queries": {"heads": 4, "kv_heads": 2},
    "gelu": {"activation": "gelu"},
    "bounded context": {"max_context": 6},
    "groups of frames": {"group": 2},
}


def greedy(model, rows, steps=24):
    """Logits [steps, rows, group, V] of greedy decoding, the codes, and the cache."""
    cache = model.new_cache()
    logits = [model.prefill(make_batch(AR, rows, model.config), cache)]
    for step in range(steps):
        codes = logits[-1][..., :STOP].argmax(-1)
        logits.append(model.step(AR, codes, torch.full((len(rows),), step), cache))
    return torch.stack(logits), cache


@pytest.mark.parametrize("changes", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("lengths", [(5,), (5, 5), (5, 9, 2, 7), (5, 9, 2, 7, 4, 6)])
@torch.inference_mode()
def test_a_lean_step_computes_what_the_modules_compute(monkeypatch, changes, lengths):
    model = small_model(**changes)
    rng = np.random.default_rng(0)
    rows = [random_row(rng, symbols=length, frames=0) for length in lengths]
    lean, cache = greedy(model, rows)
    assert cache.step is not None
    monkeypatch.setattr(llama, "can_step", lambda x: False)
    expected, cache = greedy(model, rows)
    assert cache.step is None
    torch.testing.assert_close(lean, expected, atol=1e-5, rtol=0)
    assert torch.equal(lean.argmax(-1), expected.argmax(-1))


@torch.inference_mode()
def test_changed_weights_count_from_the_next_row_on():
    model = small_model()
    row = random_row(np.random.default_rng(0), frames=0)
    before, _ = greedy(model, [row])
    for parameter in model.trunk.parameters():
        parameter.mul_(1.1)
    after, cache = greedy(model, [row])
    assert cache.step is not None
    assert (before - after).abs().max() > 1e-3


def with_adapter(model):
    model.adapters.attach(model, "voice", LoraAdapter(model, LoraOptions(rank=2)))
    return model


@pytest.mark.parametrize(
    "model",
    [
        lambda: with_adapter(small_model()),
        lambda: small_model(trunk="mixtral", experts=2),
        lambda: small_model(trunk="bitnet"),
        lambda: small_model().bfloat16(),
    ],
)
def test_modules_with_more_than_their_weights_have_no_lean_step(model):
    model = model()
    with torch.inference_mode():
        _, cache = greedy(model, [random_row(np.random.default_rng(0), frames=0)], steps=2)
    assert cache.step is None


def test_many_rows_and_gradients_have_the_modules():
    assert llama.can_step(torch.zeros(1, 1, 8)) is False  # gradients are enabled
    with torch.no_grad():
        assert llama.can_step(torch.zeros(MOST_ROWS, 1, 8))
        assert not llama.can_step(torch.zeros(MOST_ROWS + 1, 1, 8))
        assert not llama.can_step(torch.zeros(1, 2, 8))
