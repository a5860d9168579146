import numpy as np
import pytest
import torch

from tests.unit.model.rows import STOP, frames_of, random_row, small_model, speech, with_part
from valle.model.layout import Mode
from valle.tasks.tts import TTS

AR = TTS.layout(Mode.AR)
SIZES = [(5, 4), (9, 0), (2, 7), (3, 12)]


def extended(rows, frames):
    """The rows with `frames` [steps, B] appended to their targets."""
    return [
        with_part(row, "target", np.concatenate([row.fields["target"][:1], frames[None, :, place]], 1))
        for place, row in enumerate(rows)
    ]


def uncached(model, rows):
    batch = speech(Mode.AR, rows)
    return model(batch)[batch.last_predictions]


@pytest.mark.parametrize("num_prefix", [0, 3])
@pytest.mark.parametrize("capacity", [0, 200])
@torch.inference_mode()
def test_cached_decoding_equals_full_forwards_for_rows_of_different_lengths(num_prefix, capacity):
    model = small_model()
    rng = np.random.default_rng(0)
    rows = [random_row(rng, symbols=s, prompt=p, frames=num_prefix + i) for i, (s, p) in enumerate(SIZES)]
    cache = model.new_cache(capacity)
    cached = model.prefill(speech(Mode.AR, rows), cache)[:, 0]
    torch.testing.assert_close(cached, uncached(model, rows), atol=1e-5, rtol=0)
    taken = np.zeros((0, len(rows)), dtype=np.int16)
    for step in range(40):
        codes = cached[:, :STOP].argmax(-1)
        taken = np.concatenate([taken, codes.numpy()[None].astype(np.int16)])
        frames = torch.tensor([frames_of(row) + step for row in rows])
        cached = model.step(AR, codes[:, None], frames, cache)[:, 0]
        full = uncached(model, extended(rows, taken))
        torch.testing.assert_close(cached, full, atol=1e-5, rtol=0)
        assert torch.equal(cached.argmax(-1), full.argmax(-1))


@torch.inference_mode()
def test_rows_of_equal_length_need_no_mask_and_agree_too():
    model = small_model()
    rng = np.random.default_rng(1)
    rows = [random_row(rng, frames=0) for _ in range(3)]
    cache = model.new_cache()
    model.prefill(speech(Mode.AR, rows), cache)
    assert cache.step_mask() is None
    taken = rng.integers(0, STOP, (20, 3)).astype(np.int16)
    for step, codes in enumerate(taken):
        logits = model.step(AR, torch.from_numpy(codes).long()[:, None], torch.full((3,), step), cache)[:, 0]
    torch.testing.assert_close(logits, uncached(model, extended(rows, taken)), atol=1e-5, rtol=0)


@torch.inference_mode()
def test_rows_that_leave_the_cache_do_not_disturb_those_that_stay():
    model = small_model()
    rng = np.random.default_rng(2)
    rows = [random_row(rng, symbols=s, prompt=p, frames=2) for s, p in SIZES]
    cache = model.new_cache()
    model.prefill(speech(Mode.AR, rows), cache)
    taken = rng.integers(0, STOP, (12, 4)).astype(np.int16)
    staying = list(range(4))
    for step, codes in enumerate(taken):
        if step in (3, 7):
            kept = [0, 2, 3] if step == 3 else [2, 0]
            cache.keep(torch.tensor(kept))
            staying = [staying[place] for place in kept]
            assert len(cache.lengths) == len(staying)
        codes, frames = torch.from_numpy(codes[staying]).long()[:, None], torch.full((len(staying),), 2 + step)
        logits = model.step(AR, codes, frames, cache)[:, 0]
    full = uncached(model, extended(rows, taken))[staying]
    torch.testing.assert_close(logits, full, atol=1e-5, rtol=0)


def test_a_nar_batch_cannot_be_cached():
    model = small_model()
    batch = speech(Mode.NAR, [random_row(np.random.default_rng(0), codebook=2)])
    with pytest.raises(AssertionError):
        model.prefill(batch, model.new_cache())
