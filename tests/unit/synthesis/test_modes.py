"""A model overfitted to four utterances in every mode, and its speech in each."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from tests.golden.toy_model import SIZE, toy_model, toy_rows
from tests.unit.model.rows import STOP, small_model
from tests.unit.training.toy import SYMBOLS, codes_for, make_toy_set
from valle.checkpoints.checkpoint import load_model
from valle.data.selection.training_set import load_training_set
from valle.model.layout import Mode
from valle.phonemes import PhonemeTable
from valle.synthesis.decoding.autoregressive import decode_autoregressively
from valle.synthesis.decoding.conditions import Condition, Utterance, speech_batch
from valle.synthesis.decoding.decode import decode
from valle.synthesis.decoding.duration import LONGEST, SHORTEST, predict_lengths
from valle.synthesis.decoding.guidance import guide
from valle.synthesis.decoding.masked import mask_counts
from valle.synthesis.decoding.tokens import transcribe_codes
from valle.synthesis.options import BeamOptions, MaskedOptions, SamplingOptions
from valle.synthesis.samplers import beam
from valle.tasks.continuation import CONTINUATION
from valle.tasks.tts import TTS
from valle.training.loop import train
from valle.training.options import TrainOptions
from warehouse.errors import ConfigurationError

MASKED = SamplingOptions(decoding="nar-len", temperature=0, masked=MaskedOptions(steps=6))


def utterances(conditions, options):
    return [Utterance(condition, options) for condition in conditions]


def learn(home, **changes):
    """A model that has learnt four utterances of two speakers by heart, and these."""
    options = TrainOptions(
        **{
            "training_set": make_toy_set(home, num_items=4, num_speakers=2, dev_items=0, longest=7, weight=12.0),
            "run_dir": home / "run",
            "model": "nano",
            "batch_tokens": 1200,
            "learning_rate": 5e-3,
            "warmup_steps": 5,
            "prompt_seconds": (0.3, 0.3),
            "log_every": 500,
            "save_every": 500,
            **changes,
        }
    )
    items = load_training_set(options.training_set).items.to_pylist()
    return load_model(train(options).checkpoint)[0], items


@pytest.fixture(scope="module", params=[1, 2], ids=["one frame a step", "two frames a step"])
def learnt(request, tmp_path_factory):
    return learn(
        tmp_path_factory.mktemp("learnt"),
        group=request.param,
        max_steps=360,
        codebook_weights=(5, 1, 1, 1, 1, 1, 1, 1),
        prompt_dropout=0.0,
        nar_len_ratio=0.5,
        length_ratio=0.15,
        transcription_ratio=0.1,
    )


def conditions_of(items):
    """Each utterance, prompted by the other one of its speaker."""
    table = PhonemeTable(SYMBOLS)
    return [
        Condition(
            symbol_ids=np.array(table.encode(item["symbols"])),
            language_id=1,
            prompt=codes_for(items[(index + 2) % 4]["symbols"], index % 2),
            prefix=np.zeros((8, 0), np.int16),
        )
        for index, item in enumerate(items)
    ]


def expected_of(items):
    return [codes_for(item["symbols"], index % 2) for index, item in enumerate(items)]


@pytest.mark.parametrize(
    "options",
    [SamplingOptions(temperature=0), MASKED, MASKED.model_copy(update={"guidance": 2.0, "duration": "at_once"})],
    ids=["ar", "nar-len", "guided nar-len"],
)
def test_what_was_learnt_by_heart_is_spoken_in_each_mode(learnt, options):
    model, items = learnt
    for spoken, expected in zip(decode(model, conditions_of(items), [options] * 4), expected_of(items), strict=True):
        assert spoken.is_complete
        assert spoken.codes.shape == expected.shape
        assert (spoken.codes == expected).mean() > 0.95


def test_what_was_learnt_to_be_gone_on_from_is_gone_on_from(tmp_path):
    model, items = learn(
        tmp_path,
        max_steps=200,
        codebook_weights=(4, 1, 1, 1, 1, 1, 1, 1),
        nar_len_ratio=0.4,
        continuation_ratio=1.0,
        length_ratio=0.0,
    )
    for expected, item in zip(expected_of(items), items, strict=True):
        half = expected.shape[1] // 2
        condition = Condition(
            symbol_ids=np.array(PhonemeTable(SYMBOLS).encode(item["symbols"])),
            language_id=1,
            prompt=expected[:, :half],
            prefix=expected[:, :0],
            task=CONTINUATION,
        )
        length = (expected.shape[1] - half) / model.config.frame_rate
        masked = MASKED.model_copy(update={"seconds": length})
        for spoken in decode(model, [condition] * 2, [SamplingOptions(temperature=0), masked]):
            assert spoken.codes.shape == (8, expected.shape[1] - half)
            assert (spoken.codes == expected[:, half:]).mean() > 0.95


@pytest.mark.parametrize("way", ["digits", "at_once"])
def test_lengths_are_predicted_digit_by_digit_and_at_once(learnt, way):
    model, items = learnt
    options = SamplingOptions(decoding="nar-len", duration=way, max_seconds=9)
    lengths = predict_lengths(model, utterances(conditions_of(items), options))
    assert lengths == [codes.shape[1] for codes in expected_of(items)]


def test_what_is_heard_is_written_down(learnt):
    model, items = learnt
    written = transcribe_codes(model, expected_of(items), [1] * 4)
    assert [[SYMBOLS[number] for number in numbers] for numbers in written] == [item["symbols"] for item in items]


@pytest.fixture
def conditions():
    return [
        Condition(row.fields["text"], 1, row.fields.get("prompt"), np.zeros((4, 0), np.int16)) for row in toy_rows(3)
    ]


WAYS = {
    "guided": SamplingOptions(guidance=2.5, max_seconds=0.5),
    "masked": SamplingOptions(decoding="nar-len", masked=MaskedOptions(steps=5), max_seconds=0.5),
    "guided masks": SamplingOptions(decoding="nar-len", guidance=3.0, masked=MaskedOptions(steps=5), max_seconds=0.5),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_batch_is_what_each_utterance_is_alone(way, conditions):
    model = toy_model()
    options = [WAYS[way].model_copy(update={"seed": seed}) for seed in range(3)]
    options[1] = options[1].model_copy(update={"decoding": "ar", "guidance": 1.0})
    together = decode(model, conditions, options)
    for index, spoken in enumerate(together):
        alone = decode(model, conditions[index : index + 1], options[index : index + 1])[0]
        np.testing.assert_array_equal(spoken.codes, alone.codes)


def next_logits(model, condition):
    """Logits of the frame after the prefix, by a full forward without a cache."""
    with torch.no_grad():
        return model(speech_batch(model, TTS, Mode.AR, [condition.row(0, condition.prefix[:1])]))[-1]


def with_frames(condition, codes):
    return dataclasses.replace(condition, prefix=np.tile(np.array(codes, dtype=np.int16), (4, 1)))


def test_cached_guidance_takes_what_two_full_forwards_would(conditions):
    model = toy_model()
    options = SamplingOptions(guidance=3.0, temperature=0, max_seconds=0.2)
    for condition, spoken in zip(
        conditions, decode_autoregressively(model, utterances(conditions, options)), strict=True
    ):
        codes = spoken.codes[0].tolist()
        for frame, code in enumerate([*codes, *([SIZE] if spoken.is_complete else [])]):
            before = with_frames(condition, codes[:frame])
            pair = next_logits(model, before), next_logits(model, before.without_text())
            assert int(guide(*pair, 3.0, 0.75).argmax()) == code


def test_guidance_of_one_is_none_and_rescaling_restores_the_spread_of_every_frame():
    plain, null = torch.randn(5, 40), torch.randn(5, 40)
    assert guide(plain, null, 1.0, 0.75) is plain
    torch.testing.assert_close(guide(plain, null, 3.0, 0.0), null + 3 * (plain - null))
    full = guide(plain, null, 3.0, 1.0)
    torch.testing.assert_close(full.std(-1), plain.std(-1))
    for frame in range(5):
        torch.testing.assert_close(full[frame], guide(plain[frame], null[frame], 3.0, 1.0))


def test_masks_follow_the_published_cosine():
    # valle_system.md section 10, T = 300, S = 25.
    published = "300 299 297 294 289 284 277 269 259 249 238 225 212 197 182 166 150 132 114 96 77 58 39 19 1"
    assert mask_counts(300, 25) == [int(count) for count in published.split()]
    assert mask_counts(1, 25) == [1] * 25
    assert mask_counts(7, 1) == [7]


def test_settled_frames_stay_unless_remasking_is_asked_for(conditions):
    model = toy_model()
    seen = []
    handle = model.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    options = SamplingOptions(decoding="nar-len", seconds=0.4, masked=MaskedOptions(steps=6))
    decode(model, conditions[:1], [options])
    handle.remove()
    inputs = [batch.elements["target"][:, 0] for batch in seen if batch.layout.mode == "nar-len"]
    assert [int((codes == SIZE + 1).sum()) for codes in inputs] == mask_counts(20, 6)
    for earlier, later in itertools.pairwise(inputs):
        settled = earlier != SIZE + 1
        assert torch.equal(earlier[settled], later[settled])


def test_frames_that_were_given_are_never_masked_and_never_returned(conditions):
    model = toy_model()
    prefix = np.arange(12, dtype=np.int16).reshape(4, 3)
    given = dataclasses.replace(conditions[0], prefix=prefix)
    seen = []
    handle = model.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    options = SamplingOptions(decoding="nar-len", seconds=0.2, masked=MaskedOptions(steps=4))
    spoken = decode(model, [given], [options])[0]
    handle.remove()
    assert spoken.codes.shape == (4, 10)
    for batch in seen:
        if "target" in batch.elements:
            columns = batch.elements["target"].shape[1]
            assert batch.elements["target"][:3].T.tolist() == prefix[:columns].tolist()


def test_absurd_lengths_are_kept_within_what_the_text_can_take(conditions):
    model = toy_model()
    average = [len(condition.symbol_ids) - 2 for condition in conditions]
    for digit, bound in ((9, LONGEST), (0, SHORTEST)):
        start, _ = model.heads.spans["digits", 0]
        with torch.no_grad():
            model.heads.bias[start + digit] = 1e4
        options = SamplingOptions(decoding="nar-len", duration="at_once", max_seconds=99)
        lengths = predict_lengths(model, utterances(conditions, options))
        assert lengths == [max(1, round(bound * frames)) for frames in average]
        with torch.no_grad():
            model.heads.bias[start + digit] = 0


def test_cached_beams_find_what_beams_over_full_forwards_find(conditions):
    model = toy_model()
    options = SamplingOptions(max_seconds=0.2, beam=BeamOptions(width=4))
    for condition, found in zip(
        conditions, decode_autoregressively(model, utterances(conditions, options)), strict=True
    ):
        beams = beam.start_beams(torch.zeros(0, dtype=torch.long), options.beam)
        while True:
            logits = [next_logits(model, with_frames(condition, history.tolist())) for history in beams.histories]
            beams, _ = beam.step(beams, torch.stack(logits), SIZE)
            if beam.is_over(beams, 10):
                break
        assert found.codes[0].tolist() == beam.best(beams).codes.tolist()
        assert found.is_complete == beam.best(beams).is_complete


def test_beams_over_groups_of_frames_are_refused():
    condition = Condition(np.array([1, 5, 2]), 1, None, np.zeros((8, 0), np.int16))
    with pytest.raises(ConfigurationError, match="one code a step"):
        decode_autoregressively(small_model(group=2), utterances([condition], SamplingOptions(beam={"width": 2})))


@pytest.mark.parametrize("num_prefix", [0, 1, 2, 3, 4])
def test_a_group_is_decoded_as_full_forwards_would_whatever_part_of_it_is_given(num_prefix):
    model = small_model(group=3)
    rng = np.random.default_rng(1)
    prefix = rng.integers(0, STOP, (8, num_prefix)).astype(np.int16)
    condition = Condition(np.array([1, 5, 6, 2]), 1, None, prefix)
    options = SamplingOptions(temperature=0, suppressed_codes=(STOP,), max_seconds=10 / 75)
    spoken = decode_autoregressively(model, utterances([condition], options))[0].codes[0].tolist()
    frames = prefix[0].tolist()
    with torch.no_grad():
        while len(frames) < num_prefix + 10:
            row = condition.row(0, np.array([frames], dtype=np.int16))
            logits = model(speech_batch(model, CONTINUATION, Mode.AR, [row]))
            frames.append(int(logits[len(frames), :STOP].argmax()))
    assert spoken == frames[num_prefix:]


def test_a_longest_duration_is_kept_in_the_middle_of_a_group():
    condition = Condition(np.array([1, 5, 6, 2]), 1, None, np.zeros((8, 0), np.int16))
    options = SamplingOptions(suppressed_codes=(STOP,), max_seconds=5 / 75)
    assert decode_autoregressively(small_model(group=3), utterances([condition], options))[0].codes.shape == (1, 5)
