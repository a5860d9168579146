"""A model that predicts every codebook of a frame in one pass: rows, losses, gradients and decoding."""

import dataclasses

import numpy as np
import pytest
import torch

from tests.unit.model.rows import STOP, random_row, small_config, small_model, speech, with_code
from valle.data.codebook_schedule import CodebookSchedule, codebook_weights
from valle.model.batch import IGNORED, make_batch
from valle.model.config import ModelConfig
from valle.model.layout import Mode
from valle.model.loss import model_loss, sequence_loss
from valle.synthesis.decoding.conditions import Condition
from valle.synthesis.decoding.decode import decode
from valle.synthesis.options import SamplingOptions
from valle.tasks.length import LENGTH
from valle.tasks.tts import TTS

CONFIG = small_config(whole_frames=True)


def frames_model():
    """An untrained model whose MLPs add something."""
    model = small_model(whole_frames=True)
    with torch.no_grad():
        for module in (model.prompt_codes, model.target_codes, model.heads):
            module.mlps.outputs.normal_(std=0.2)
    return model


def logits_of(model, mode, row):
    """Logits of each slot and codebook, [slots, 8, V]."""
    with torch.no_grad():
        return model(speech(mode, [row], whole_frames=True)).unflatten(0, (-1, 8))


def masked(frames, *hidden):
    return np.isin(np.arange(frames), hidden)


def test_labels_are_every_codebook_of_a_frame_and_codebook_0_alone_stops():
    row = random_row(np.random.default_rng(0), frames=3)
    batch = speech(Mode.AR, [row], whole_frames=True)
    labels = batch.labels.view(-1, 8)
    assert np.array_equal(labels[:3], row.fields["target"].T)
    assert labels[3].tolist() == [STOP] + [IGNORED] * 7
    assert batch.heads.view(-1, 8).tolist() == [list(range(8))] * 4


def test_a_frame_is_masked_in_every_codebook_or_in_none():
    row = random_row(np.random.default_rng(0), frames=4, masked=masked(4, 1, 3))
    batch = speech(Mode.NAR_LEN, [row], whole_frames=True)
    given, labels = batch.elements["target"], batch.labels.view(-1, 8)
    target = torch.from_numpy(row.fields["target"].T.astype(np.int64))
    assert (given[[1, 3]] == STOP + 1).all() and torch.equal(given[[0, 2]], target[[0, 2]])
    assert (labels[[0, 2]] == IGNORED).all() and torch.equal(labels[[1, 3]], target[[1, 3]])


@pytest.mark.parametrize("codebook", [0, 5, 7])
def test_a_slot_sees_every_codebook_of_the_frames_before_it_and_none_of_later_ones(codebook):
    model, row = frames_model(), random_row(np.random.default_rng(0))
    before = logits_of(model, Mode.AR, row)
    after = logits_of(model, Mode.AR, with_code(row, codebook, 3))
    assert torch.equal(before[:4], after[:4])
    assert (before[4:] != after[4:]).flatten(1).any(1).all()


def test_nothing_of_a_masked_frame_is_visible():
    row = random_row(np.random.default_rng(0), masked=masked(6, 2))
    model, given = frames_model(), with_code(row, 6, 3)
    before = logits_of(model, Mode.NAR_LEN, row)
    assert all(torch.equal(before, logits_of(model, Mode.NAR_LEN, with_code(row, k, 2))) for k in range(8))
    assert (before != logits_of(model, Mode.NAR_LEN, given)).flatten(1).any(1).all()


def test_a_row_is_the_same_alone_and_in_a_batch():
    rng, model = np.random.default_rng(0), frames_model()
    rows = [random_row(rng, frames=frames, prompt=prompt) for frames, prompt in ((3, 0), (9, 4), (5, 2))]
    with torch.no_grad():
        together = model(speech(Mode.AR, rows, whole_frames=True)).split([8 * n for n in (4, 10, 6)])
    for row, logits in zip(rows, together, strict=True):
        torch.testing.assert_close(logits, logits_of(model, Mode.AR, row).flatten(0, 1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("trunk", ["llama", "retnet"])
def test_cached_steps_equal_one_full_pass(trunk):
    model, row = small_model(whole_frames=True, trunk=trunk), random_row(np.random.default_rng(0), frames=9)
    layout, target = TTS.layout(Mode.AR), torch.from_numpy(row.fields["target"].astype(np.int64))
    whole = logits_of(model, Mode.AR, row)
    start = make_batch(layout, [TTS.row(row.fields["text"], 1, 0, row.fields["prompt"], target[:, :2].numpy())], CONFIG)
    cache = model.new_cache()
    with torch.no_grad():
        logits = [model.prefill(start, cache)[0]]
        for place in range(2, 9):
            logits.append(model.step(layout, target[:, place][None], torch.tensor([place]), cache)[0])
    torch.testing.assert_close(torch.stack(logits), whole[2:], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("mode", [Mode.AR, Mode.NAR_LEN, Mode.TOKENS])
def test_every_parameter_gets_a_gradient_whatever_was_drawn(mode):
    model = frames_model().train()
    if mode is Mode.TOKENS:
        digits = LENGTH.row(np.array([1, 4, 2]), 1, None, at_once=False)
        batch = make_batch(LENGTH.digit_by_digit, [digits], CONFIG)
    else:
        hidden = masked(6, 1) if mode is Mode.NAR_LEN else None
        batch = speech(mode, [random_row(np.random.default_rng(0), masked=hidden)], whole_frames=True)
    model_loss(model, batch).total.backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_the_schedule_weighs_the_losses_of_codebooks():
    batch = speech(Mode.NAR_LEN, [random_row(np.random.default_rng(0), masked=masked(6, 0, 4))], whole_frames=True)
    weights = CodebookSchedule(*[codebook_weights("bell", 8)] * 2).weights(0)
    factors = torch.tensor(weights) * 8
    logits = torch.randn(len(batch.labels), STOP)
    plain = sequence_loss(logits, batch)
    weighed = sequence_loss(logits, dataclasses.replace(batch, factors=factors))
    assert float(factors.mean()) == pytest.approx(1)
    torch.testing.assert_close(weighed.total, (plain.losses * factors).sum().float())
    assert torch.equal(weighed.losses, plain.losses)


def overfitted(conditions, targets, steps):
    """A tiny model trained on two examples, every other update by masks: of all frames, or of a random ratio."""
    torch.manual_seed(0)
    model = small_model(whole_frames=True, width=48).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=6e-3, weight_decay=0.0)
    rng = np.random.default_rng(0)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 6e-3 * min(1.0, 2 * (1 - step / steps))
        mode, rows = (Mode.AR, Mode.NAR_LEN)[step % 2], []
        for condition, target in zip(conditions, targets, strict=True):
            hidden = rng.random(target.shape[1]) < (1.0 if step % 4 == 1 else np.cos(np.pi / 2 * rng.random()))
            hidden[rng.integers(len(hidden))] = True
            rows.append(condition.row(0, target, hidden if mode is Mode.NAR_LEN else None))
        batch = make_batch(TTS.layout(mode), rows, model.config)
        (model_loss(model, batch).total / batch.num_labels).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


def test_two_examples_are_overfitted_and_decoded_in_both_modes():
    rng = np.random.default_rng(0)
    targets = [rng.integers(0, STOP, (8, frames)).astype(np.int16) for frames in (7, 10)]
    conditions = [Condition(rng.integers(1, 12, 4), 1, None, target[:, :0]) for target in targets]
    model = overfitted(conditions, targets, 240)
    by_frame = SamplingOptions(temperature=0, max_seconds=0.3)
    decoded = decode(model, conditions, [by_frame] * 2)
    assert [one.codes.tolist() for one in decoded] == [target.tolist() for target in targets]
    assert all(one.is_complete for one in decoded)
    by_masks = [SamplingOptions(temperature=0, decoding="nar-len", seconds=target.shape[1] / 75) for target in targets]
    decoded = decode(model, conditions, by_masks)
    # Codes are random here, so a frame that is settled too early tells nothing about its neighbours.
    assert all((one.codes == target).mean() > 0.95 for one, target in zip(decoded, targets, strict=True))


@pytest.mark.parametrize(
    "options",
    [
        {"guidance": 2.0, "nar_guidance": 1.5, "nar_temperature": 0.5},
        {"decoding": "nar-len", "guidance": 2.0, "nar_temperature": 0.5, "seconds": 0.2},
        {"decoding": "nar-len", "masked": {"prefix_seconds": 0.05}, "seconds": 0.2},
        {"refine": True},
    ],
)
def test_codes_do_not_depend_on_the_others_of_a_batch_and_continue_the_prefix(options):
    rng, model = np.random.default_rng(0), frames_model()
    codes = rng.integers(0, STOP, (8, 9)).astype(np.int16)
    conditions = [
        Condition(rng.integers(1, 12, 3 + 2 * row), 1, codes[:, : 3 * row] if row else None, codes[:, :row])
        for row in range(3)
    ]
    sampling = [SamplingOptions.model_validate({"seed": row, "max_seconds": 0.2} | options) for row in range(3)]
    together = decode(model, conditions, sampling)
    alone = [decode(model, [condition], [one])[0] for condition, one in zip(conditions, sampling, strict=True)]
    assert [one.codes.tolist() for one in together] == [one.codes.tolist() for one in alone]
    assert all(one.codes.shape[0] == 8 and one.codes.max() < STOP for one in together)


def test_what_a_frame_at_a_time_excludes_is_refused():
    for change in ({"group": 2}, {"lookahead": 1}):
        with pytest.raises(ValueError, match="one frame a step"):
            ModelConfig(**CONFIG.model_dump() | change)
