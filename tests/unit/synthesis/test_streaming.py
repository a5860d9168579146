import numpy as np
import pytest

from tests.unit.synthesis.toy import untrained_synthesizer
from tests.unit.training.toy import SPEC, codes_for
from valle.model.layout import Mode
from valle.synthesis.long_form import speak_long
from valle.synthesis.options import LongFormOptions, SamplingOptions, StreamOptions
from valle.synthesis.streaming.engine import StreamEngine, iterate_chunks, narrate
from valle.synthesis.synthesizer import Prompt
from warehouse.errors import ConfigurationError

TEXT = "Abc de. Fgh! Dab?"
PROMPT = Prompt(codes_for("abch", 0), tuple("abch"))
ENDLESS = SamplingOptions(max_seconds=1.2, suppressed_codes=(SPEC.codebook_size,), seed=6)  # 60 frames a sentence
SMALL = StreamOptions(window=24, first_window=12, lookahead=3, history=20)


@pytest.fixture(scope="module")
def synthesizer():
    return untrained_synthesizer(stop=1.0)


def joined(chunks):
    codes = np.concatenate([chunk.codes for chunk in chunks], axis=1)
    return codes, np.concatenate([chunk.samples for chunk in chunks])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"guidance": 2.0, "nar_guidance": 1.5, "nar_temperature": 0.7},
        {"decoding": "nar-len", "duration": "average", "masked": {"steps": 2}},
        {"continues_prompt": True},
    ],
    ids=["plain", "guided and drawn", "masked", "continued"],
)
def test_a_stream_whose_window_is_the_sentence_has_the_codes_and_samples_of_the_whole(synthesizer, changes):
    sampling = SamplingOptions(max_seconds=0.6, seed=6, **changes)
    pause = LongFormOptions(pause_seconds=0.1)
    whole = speak_long(synthesizer, TEXT, PROMPT, sampling=sampling, options=pause)
    chunks = list(
        iterate_chunks(synthesizer, TEXT, PROMPT, sampling=sampling, long_form=pause, options=StreamOptions(window=0))
    )
    codes, samples = joined(chunks)
    np.testing.assert_array_equal(codes, whole.speech.codes)
    np.testing.assert_array_equal(samples, whole.speech.audio.samples)
    assert [piece.problem for piece in whole.pieces] == [chunk.piece.problem for chunk in chunks if chunk.piece]


def test_codebook_0_does_not_depend_on_the_window_where_nothing_continues_it(synthesizer):
    alone = LongFormOptions(context_seconds=0)
    whole = speak_long(synthesizer, TEXT, PROMPT, sampling=ENDLESS, options=alone)
    codes, samples = joined(
        list(iterate_chunks(synthesizer, TEXT, PROMPT, sampling=ENDLESS, long_form=alone, options=SMALL))
    )
    np.testing.assert_array_equal(codes[0], whole.speech.codes[0])
    assert codes.shape == whole.speech.codes.shape
    assert len(samples) == codes.shape[1] * SPEC.hop_length


def test_a_window_keeps_its_positions_and_sees_its_history_and_the_frames_after_it(synthesizer):
    seen = []

    def record(module, arguments):
        batch = arguments[0]
        if batch.layout.mode == Mode.NAR and int(batch.elements["codebook"][0]) == 1:
            seen.append(batch.positions.flatten()[batch.slots["target"]].tolist())

    handle = synthesizer.model.register_forward_pre_hook(record)
    chunks = list(iterate_chunks(synthesizer, "Abc.", PROMPT, sampling=ENDLESS, options=SMALL))
    handle.remove()
    assert [chunk.codes.shape[1] for chunk in chunks] == [12, 24, 24]
    assert seen == [[*range(15)], [*range(39)], [*range(16, 60)]]


def test_samples_arrive_long_before_the_end(synthesizer):
    steps = 0
    engine = StreamEngine(synthesizer)
    engine.start([narrate(synthesizer, TEXT, PROMPT, sampling=ENDLESS, options=SMALL)])
    arrivals = []
    while not engine.is_empty:
        steps += 1
        arrivals += [steps for _, chunk in engine.step() if len(chunk.samples)]
    assert arrivals[0] == SMALL.first_window + SMALL.lookahead
    assert steps == 3 * 60
    assert len(arrivals) == 9


def test_texts_that_start_at_different_times_share_a_batch_and_are_what_they_are_alone(synthesizer):
    sampling = [ENDLESS, ENDLESS.model_copy(update={"guidance": 2.0, "seed": 9}), ENDLESS]
    texts = ["Abc de. Fgh!", "Dab? Hef.", "Ab."]
    alone = [
        joined(list(iterate_chunks(synthesizer, text, PROMPT, sampling=options, options=SMALL)))
        for text, options in zip(texts, sampling, strict=True)
    ]
    engine = StreamEngine(synthesizer)
    narrations = [
        narrate(synthesizer, text, PROMPT, sampling=options, options=SMALL)
        for text, options in zip(texts, sampling, strict=True)
    ]
    found = {narration: [] for narration in narrations}
    for narration in narrations:
        engine.start([narration])
        for _ in range(17):
            for owner, chunk in engine.step():
                found[owner].append(chunk)
    while not engine.is_empty:
        for owner, chunk in engine.step():
            found[owner].append(chunk)
    for (codes, samples), chunks in zip(alone, found.values(), strict=True):
        np.testing.assert_array_equal(joined(chunks)[0], codes)
        np.testing.assert_array_equal(joined(chunks)[1], samples)


def test_a_cancelled_text_leaves_the_batch(synthesizer):
    engine = StreamEngine(synthesizer)
    kept, gone = (narrate(synthesizer, "Ab.", PROMPT, sampling=ENDLESS, options=SMALL) for _ in range(2))
    engine.start([gone, kept])
    engine.step()
    engine.cancel(gone)
    owners = []
    while not engine.is_empty:
        owners += [owner for owner, _ in engine.step()]
    assert set(owners) == {kept}


def test_a_sentence_that_cannot_be_spoken_is_reported_in_its_place(synthesizer):
    chunks = list(iterate_chunks(synthesizer, "Ab. XYZ. Cd.", PROMPT, sampling=ENDLESS, options=SMALL))
    problems = [chunk.piece.problem for chunk in chunks if chunk.piece]
    assert problems == ["it was cut after 1.2 s", "it has no phonemes", "it was cut after 1.2 s"]
    assert chunks[-1].num_done == 3
    with pytest.raises(ConfigurationError, match="nothing to speak"):
        iterate_chunks(synthesizer, "XYZ.")


def test_windows_grow_with_the_text():
    options = StreamOptions()
    assert [options.window_after(frames) for frames in (0, 10, 62, 100, 1000)] == [62, 24, 31, 50, 96]
    assert StreamOptions(window=0).window_after(5) is None
