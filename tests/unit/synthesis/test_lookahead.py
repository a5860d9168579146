"""Guesses of further frames: the speech is that of plain decoding, in fewer passes of the trunk."""

import numpy as np
import pytest
import torch

from tests.unit.model.rows import STOP, random_row, small_config, small_model, speech
from valle.backends.registry import Backends
from valle.checkpoints.checkpoint import read_weights
from valle.checkpoints.guesses import FILE, attach_heads, export_heads
from valle.checkpoints.runs import EMBEDDED, EMBEDDED_RUNS, latest_checkpoint
from valle.model.config import ModelConfig
from valle.model.layout import Mode
from valle.model.loss import model_loss, sequence_loss
from valle.model.valle import ValleModel
from valle.synthesis.decoding.autoregressive import decode_autoregressively
from valle.synthesis.decoding.conditions import Condition, Utterance
from valle.synthesis.options import SamplingOptions
from valle.synthesis.synthesizer import Request, Synthesizer
from valle.tensors import write_tensors
from warehouse.errors import CheckpointError


def conditions():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, STOP, (8, 9)).astype(np.int16)
    return [
        Condition(rng.integers(1, 12, 3 + 2 * row), 1, codes[:, : 3 * row] if row else None, codes[:, :row])
        for row in range(3)
    ]


def guessing(group=1, **changes):
    """An untrained model that guesses, and the same one without guesses."""
    model = small_model(lookahead=3, group=group, **changes)
    with torch.no_grad():
        model.lookahead.weight.normal_(std=0.05)
    plain = ValleModel(small_config(group=group, **changes)).eval()
    plain.load_state_dict({name: t for name, t in model.state_dict().items() if "lookahead" not in name})
    return model, plain


def passes(model, options, copies=1, given=None):
    counted = []
    handle = model.trunk.register_forward_hook(lambda *_: counted.append(1))
    given = conditions() * copies if given is None else given
    decoded = decode_autoregressively(model, [Utterance(condition, options) for condition in given])
    handle.remove()
    return [(one.codes.tolist(), one.is_complete) for one in decoded], len(counted)


@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0, "suppressed_codes": (STOP,), "max_seconds": 500 / 75},
        {"temperature": 0.3, "guidance": 2.0, "seed": 3, "max_seconds": 1.0},
        {"temperature": 1.0, "top_p": 0.9, "repetition_penalty": 1.2, "seed": 1, "max_seconds": 1.0},
    ],
)
def test_guesses_change_the_number_of_passes_and_nothing_else(group, options):
    model, plain = guessing(group)
    (codes, fewer), (expected, all_passes) = (passes(m, SamplingOptions(**options)) for m in (model, plain))
    assert codes == expected
    assert fewer <= all_passes


def test_guesses_of_a_repeating_model_are_all_right():
    model, plain = guessing()
    with torch.no_grad():
        model.lookahead.weight.zero_()
        for one in (model, plain):
            one.heads.bias[5] += 100
    options = SamplingOptions(temperature=0, max_seconds=40 / 75)
    (codes, fewer), (expected, all_passes) = passes(model, options), passes(plain, options)
    assert codes == expected
    # The prefill draws one frame, every further pass four.
    assert (all_passes, fewer) == (40, 11)


@pytest.mark.parametrize("group", [1, 2])
def test_the_loss_compares_each_guess_with_the_group_that_it_guesses(group):
    model = small_model(lookahead=2, group=group).train()
    rng = np.random.default_rng(0)
    rows = [random_row(rng, frames=frames) for frames in (7, 4)]
    batch = speech(Mode.AR, rows, lookahead=2, group=group)
    hidden = []
    handle = model.trunk.register_forward_hook(lambda _, __, output: hidden.append(output))
    total = model_loss(model, batch).total
    handle.remove()
    slots = hidden[0].flatten(0, 1)[batch.predictions]
    by_row = slots.split([int(n) for n in torch.bincount(batch.predictions // batch.positions.shape[1])])
    labels = batch.labels.split([len(row) for row in by_row])
    expected = sequence_loss(model(batch), batch).total
    for states, ids in zip(by_row, labels, strict=True):
        for guess in range(2):
            for place in range(len(ids) - (guess + 1) * group):
                number = torch.tensor([model.config.slot_heads[place % group]])
                logits = model.heads("codes", model.lookahead(states[place], guess)[None], number)
                right = ids[place + (guess + 1) * group]
                expected = expected + 0.2 * 0.8**guess * torch.nn.functional.cross_entropy(logits, right[None])
    torch.testing.assert_close(total, expected)


def test_every_parameter_has_a_gradient_in_rows_without_guesses():
    model = small_model(lookahead=2).train()
    batch = speech(Mode.NAR, [random_row(np.random.default_rng(0), codebook=2)], lookahead=2)
    model_loss(model, batch).total.backward()
    assert torch.equal(model.lookahead.weight.grad, torch.zeros_like(model.lookahead.weight))


def test_a_recurrent_trunk_cannot_guess():
    with pytest.raises(ValueError, match="cannot take frames back"):
        ModelConfig(**small_config(trunk="retnet").model_dump() | {"lookahead": 2})


def save(directory, **changes):
    """Save an untrained model as a checkpoint; returns its directory."""
    model = small_model(**changes)
    directory.mkdir()
    write_tensors(directory / "model.safetensors", model.state_dict())
    return directory


def test_heads_in_a_file_of_their_own_change_the_number_of_passes_and_nothing_else(tmp_path):
    guessing_one = save(tmp_path / "with", lookahead=2)
    base = small_model()
    export_heads(read_weights(guessing_one), tmp_path / FILE)
    options = SamplingOptions(temperature=0.3, seed=3, max_seconds=40 / 75)
    expected, all_passes = passes(base, options)
    attach_heads(base, tmp_path)
    assert base.lookahead.guesses == 2
    codes, fewer = passes(base, options)
    assert codes == expected
    assert fewer <= all_passes


def test_heads_that_a_model_cannot_use_are_one_sentence(tmp_path):
    with pytest.raises(CheckpointError, match="has no heads that guess; train them"):
        export_heads(read_weights(save(tmp_path / "without")), tmp_path / FILE)
    export_heads(read_weights(save(tmp_path / "with", lookahead=2)), tmp_path / FILE)
    for changes, message in (
        ({"width": 64}, "heads of another model"),
        ({"trunk": "retnet"}, "cannot take frames back"),
        ({"max_context": 4}, "cannot bring back"),
    ):
        with pytest.raises(CheckpointError, match=message):
            attach_heads(small_model(**changes), tmp_path)
    (tmp_path / FILE).write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="remove it, or export it again"):
        attach_heads(small_model(), tmp_path)
    attach_heads(model := small_model(), tmp_path / "without")
    assert model.lookahead is None


def test_english_decodes_the_same_greedy_codes_in_two_thirds_of_the_passes():
    checkpoint = latest_checkpoint(EMBEDDED_RUNS / EMBEDDED)
    synthesizer = Synthesizer.load(checkpoint, Backends())
    model, options = synthesizer.model, SamplingOptions(temperature=0, suppressed_codes=(1024,), max_seconds=2.0)
    given = [synthesizer.condition(Request(synthesizer.phonemize("She ran out into the garden.")))]
    assert model.lookahead is None, "a CPU decodes faster without guesses"
    expected, all_passes = passes(model, options, given=given)
    attach_heads(model, checkpoint)
    codes, fewer = passes(model, options, given=given)
    assert codes == expected
    assert all_passes == 150
    assert 1.5 * fewer <= all_passes
