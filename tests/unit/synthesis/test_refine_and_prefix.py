"""Refined frames, and masked decoding behind an autoregressive beginning, by a model that was never trained."""

import numpy as np
import pytest
import torch

from tests.unit.model.rows import STOP, small_model
from tests.unit.synthesis.toy import ToyBackends, toy_card, untrained_model
from valle.checkpoints.saving import write_model
from valle.model.layout import Mode
from valle.synthesis.decoding.autoregressive import decode_autoregressively
from valle.synthesis.decoding.conditions import Condition, Utterance, speech_batch
from valle.synthesis.decoding.decode import decode
from valle.synthesis.options import MaskedOptions, SamplingOptions
from valle.synthesis.synthesizer import ModelPlacement, Request, Synthesizer
from valle.tasks.tts import TTS

RATE = 75.0


def conditions(prefix=2):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, STOP, (8, 9)).astype(np.int16)
    return [Condition(rng.integers(1, 12, 4 + row), 1, codes[:, :5], codes[:, : prefix * row]) for row in range(3)]


@pytest.mark.parametrize("group", [1, 2])
@torch.no_grad()
def test_a_refined_frame_is_the_likeliest_after_those_before_it(group):
    model = small_model(group=group)
    options = SamplingOptions(suppressed_codes=(STOP,), max_seconds=8 / RATE, seed=1)
    drawn = decode(model, conditions(), [options] * 3)
    refined = decode(model, conditions(), [options.model_copy(update={"refine": True})] * 3)
    for condition, before, after in zip(conditions(), drawn, refined, strict=True):
        target = np.concatenate([condition.prefix[:1], before.codes[:1]], axis=1)
        logits = model(speech_batch(model, TTS, Mode.AR, [condition.row(0, target)]))[: target.shape[1], :STOP]
        assert after.codes[0].tolist() == logits.argmax(-1)[condition.num_prefix :].tolist()
        assert after.codes.shape == before.codes.shape
    assert any(
        before.codes[0].tolist() != after.codes[0].tolist() for before, after in zip(drawn, refined, strict=True)
    )


def test_masked_frames_follow_an_autoregressive_beginning_of_the_given_length():
    model = small_model()
    masked = SamplingOptions(
        decoding="nar-len", seconds=12 / RATE, seed=3, suppressed_codes=(STOP,),
        masked=MaskedOptions(steps=4, prefix_seconds=5 / RATE),
    )  # fmt: skip
    alone = SamplingOptions(seed=3, suppressed_codes=(STOP,), max_seconds=5 / RATE)
    begun = decode_autoregressively(model, [Utterance(condition, alone) for condition in conditions()])
    for start, whole in zip(begun, decode(model, conditions(), [masked] * 3), strict=True):
        assert whole.codes.shape == (8, 12)
        assert whole.codes[0, :5].tolist() == start.codes[0].tolist()
    longer = masked.model_copy(update={"masked": MaskedOptions(steps=4, prefix_seconds=15 / RATE)})
    assert {one.codes.shape for one in decode(model, conditions(), [longer] * 3)} == {(8, 15)}


@pytest.mark.parametrize("precision", ["bf16", "fp16", "int8"])
def test_lower_precision_speaks_nearly_the_same_codes(tmp_path, precision):
    card = toy_card()
    write_model(tmp_path, card, untrained_model(card).state_dict())
    request = Request(tuple("abc"), options=SamplingOptions(temperature=0, max_seconds=0.2, suppressed_codes=(32,)))
    half, full = (Synthesizer.load(tmp_path, ToyBackends(), options=ModelPlacement(one)) for one in (precision, "fp32"))
    assert {parameter.element_size() for parameter in half.model.parameters()} == {4 if precision == "int8" else 2}
    codes, exact = (one.speak_many([request])[0].codes for one in (half, full))
    assert codes.shape == exact.shape
    assert codes[0, 0] == exact[0, 0]
