"""A bounded context of the AR: what a slot sees, cached steps, memory."""

import numpy as np
import pytest
import torch

from tests.unit.model.rows import STOP, random_row, small_config, small_model, speech, with_code, with_part
from valle.model.attention import AttentionKernel
from valle.model.batch import make_batch
from valle.model.config import ModelConfig
from valle.model.layout import Mode
from valle.model.valle import ValleModel
from valle.synthesis.decoding.autoregressive import FrameBatch
from valle.synthesis.decoding.conditions import Condition, Utterance
from valle.synthesis.options import SamplingOptions
from valle.tasks.tts import TTS

CONTEXT = 4
LAYOUT = TTS.layout(Mode.AR)


def logits_of(model, rows):
    with torch.no_grad():
        return model(make_batch(LAYOUT, rows, model.config))


def begun(row, frames):
    return with_part(row, "target", row.fields["target"][:, :frames])


def test_a_slot_sees_its_condition_and_as_many_frames_as_the_context_has():
    model, row = small_model(max_context=CONTEXT, depth=1), random_row(np.random.default_rng(0), frames=12)
    before = logits_of(model, [row])
    changed = (logits_of(model, [with_code(row, 0, 3)]) != before).any(1).tolist()
    # Slot i + 1 holds frame i and is the last that sees the three before it.
    assert changed == [4 <= slot < 4 + CONTEXT for slot in range(13)]
    for name in ("prompt", "text"):
        other = row.fields[name].copy()
        other[..., 0] = (other[..., 0] + 1) % 12
        assert (logits_of(model, [with_part(row, name, other)]) != before).any(1).all()


@pytest.mark.parametrize("kernel", ["sdpa", "matmul", "flex", "math"])
def test_nothing_changes_while_the_output_is_shorter_than_the_context(kernel):
    plain = small_model()
    bounded = ValleModel(small_config(max_context=8)).eval()
    bounded.load_state_dict(plain.state_dict())
    bounded.trunk.kernel = AttentionKernel(kernel)
    rng = np.random.default_rng(0)
    rows = [random_row(rng, frames=frames, symbols=symbols) for frames, symbols in ((6, 9), (3, 4), (7, 2))]
    torch.testing.assert_close(logits_of(bounded, rows), logits_of(plain, rows), atol=1e-5, rtol=1e-4)
    long = [random_row(rng, frames=14)]
    assert not torch.allclose(logits_of(bounded, long)[9:], logits_of(plain, long)[9:], atol=1e-4)


@pytest.mark.parametrize("trunk", ["llama", "transformer", "bitnet"])
@pytest.mark.parametrize("starts", [(1, 1), (0, 7), (9, 3)])
def test_cached_steps_equal_one_full_pass_within_and_beyond_the_context(trunk, starts):
    rng, model = np.random.default_rng(0), small_model(max_context=CONTEXT, trunk=trunk)
    rows = [random_row(rng, frames=20, symbols=symbols, prompt=prompt) for symbols, prompt in ((5, 4), (8, 0))]
    whole = [logits_of(model, [row]) for row in rows]
    cache, sizes = model.new_cache(), []
    batch = make_batch(LAYOUT, [begun(row, start) for row, start in zip(rows, starts, strict=True)], model.config)
    with torch.no_grad():
        logits = model.prefill(batch, cache)[:, 0]
        for step in range(11):
            for row, start in enumerate(starts):
                torch.testing.assert_close(logits[row], whole[row][start + step], atol=1e-5, rtol=1e-4)
            places = torch.tensor(starts) + step
            codes = torch.tensor([[row.fields["target"][0, at]] for row, at in zip(rows, places, strict=True)])
            logits = model.step(LAYOUT, codes.long(), places, cache)[:, 0]
            sizes.append(cache.num_bytes)
    # The cache has room for half as much again as it needs.
    assert sizes[-1] == sizes[CONTEXT]


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_utterances_that_join_and_leave_are_decoded_as_alone(guidance):
    rng, model = np.random.default_rng(0), small_model(max_context=CONTEXT)
    codes = rng.integers(0, STOP, (8, 12)).astype(np.int16)
    conditions = [
        Condition(rng.integers(1, 12, 3 + 4 * row), 1, codes[:, row : 3 * row], codes[:, : 3 * row]) for row in range(3)
    ]
    utterances = [
        Utterance(condition, SamplingOptions(guidance=guidance, seed=row, max_seconds=0.2 + 0.1 * row))
        for row, condition in enumerate(conditions)
    ]

    def decode(groups, steps):
        batch, states = FrameBatch(model), []
        for group in groups:
            states += batch.add(group)
            for _ in range(steps):
                batch.step()
        while not batch.is_empty:
            batch.step()
        return [state.codes for state in states]

    alone = [decode([[utterance]], 0)[0] for utterance in utterances]
    assert decode([[utterance] for utterance in utterances], 5) == alone
    assert decode([utterances], 0) == alone


def test_masked_rows_and_lengths_keep_all_of_their_context():
    plain = small_model()
    bounded = ValleModel(small_config(max_context=1)).eval()
    bounded.load_state_dict(plain.state_dict())
    row = random_row(np.random.default_rng(0), codebook=2, frames=9)
    with torch.no_grad():
        assert torch.equal(*(model(speech(Mode.NAR, [row])) for model in (plain, bounded)))


def test_what_a_bounded_context_excludes_is_refused():
    shape = small_config().model_dump()
    for change, message in (
        ({"trunk": "mamba"}, "state in place of a context"),
        ({"lookahead": 2}, "cannot bring back"),
        ({"group": 8}, "no group of 8"),
    ):
        with pytest.raises(ValueError, match=message):
            ModelConfig(**shape | {"max_context": CONTEXT} | change)
