import dataclasses
import time
from contextlib import contextmanager

import numpy as np
import pytest

from tests.unit.synthesis.toy import ToyBackends, ToyCodec, untrained_synthesizer
from tests.unit.training.toy import SPEC, codes_for, make_toy_set
from valle.audio import Audio
from valle.model.layout import TASK_MARKER, Marker
from valle.phonemes import PhonemeTable
from valle.synthesis.options import SamplingOptions
from valle.synthesis.synthesizer import Prompt, Request, Synthesizer, _split_by_length
from valle.tasks.continuation import CONTINUATION
from valle.training.loop import train
from valle.training.options import TrainOptions
from warehouse.errors import CheckpointError, ConfigurationError

STEPS = 200
GREEDY = SamplingOptions(temperature=0, max_seconds=2)
DRAWN = SamplingOptions(temperature=1, nar_temperature=1, max_seconds=1)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A model that has learnt four utterances of two speakers by heart."""
    home = tmp_path_factory.mktemp("learnt")
    options = TrainOptions(
        training_set=make_toy_set(home, num_items=4, num_speakers=2, dev_items=0, longest=7),
        run_dir=home / "run",
        model="nano",
        max_steps=STEPS,
        batch_tokens=1000,
        learning_rate=1e-2,
        warmup_steps=5,
        prompt_seconds=(0.3, 0.3),
        codebook_schedule="uniform",
        prompt_dropout=0.0,
        condition_dropout=0.0,
        nar_len_ratio=0.0,
        length_ratio=0.0,
        log_every=STEPS,
        save_every=STEPS,
    )
    items = make_items(options)
    return train(options).checkpoint, items


def make_items(options):
    from valle.data.selection.training_set import load_training_set

    return load_training_set(options.training_set).items.to_pylist()


@pytest.fixture(scope="module")
def synthesizer(checkpoint):
    return Synthesizer.load(checkpoint[0], ToyBackends())


@pytest.fixture(scope="module")
def requests(checkpoint):
    """Each utterance that was learnt, prompted by the other one of its speaker."""
    items = checkpoint[1]
    return [
        Request(
            tuple(item["symbols"]),
            Prompt(codes_for(items[(index + 2) % 4]["symbols"], index % 2), tuple(items[(index + 2) % 4]["symbols"])),
            options=GREEDY,
        )
        for index, item in enumerate(items)
    ]


def same(left, right):
    return left.codes.shape == right.codes.shape and (left.codes == right.codes).all()


def test_what_was_learnt_by_heart_is_spoken_back_code_by_code(synthesizer, requests, checkpoint):
    for index, (speech, item) in enumerate(zip(synthesizer.speak_many(requests), checkpoint[1], strict=True)):
        expected = codes_for(item["symbols"], index % 2)
        assert speech.is_complete
        assert speech.codes.shape == expected.shape
        assert (speech.codes == expected).mean() > 0.95
        assert len(speech.audio.samples) == expected.shape[1] * SPEC.hop_length
        assert speech.duration == pytest.approx(expected.shape[1] / SPEC.frame_rate)


@pytest.mark.parametrize("options", [GREEDY, DRAWN, DRAWN.model_copy(update={"top_k": 4, "repetition_penalty": 1.2})])
def test_a_batch_gives_what_each_request_gives_alone_in_the_order_of_the_requests(synthesizer, requests, options):
    chosen = [
        dataclasses.replace(request, options=options.model_copy(update={"seed": 7 * index}))
        for index, request in enumerate([*requests, *requests[::-1]])
    ]
    chosen[1] = dataclasses.replace(chosen[1], prompt=None)
    together = synthesizer.speak_many(chosen)
    alone = [synthesizer.speak_many([request])[0] for request in chosen]
    assert all(same(left, right) for left, right in zip(together, alone, strict=True))
    assert len({speech.codes.shape[1] for speech in together}) > 1


def test_a_seed_fixes_the_speech_and_another_seed_changes_it(synthesizer, requests):
    def speak(seed):
        options = SamplingOptions(temperature=2.0, seed=seed, max_seconds=0.5)
        return synthesizer.speak(requests[0].symbols, requests[0].prompt, options=options)

    assert same(speak(1), speak(1))
    assert not all(same(speak(1), speak(seed)) for seed in (2, 3, 4))


def test_speech_without_an_end_is_cut_at_the_longest_duration(synthesizer, requests):
    options = GREEDY.model_copy(update={"max_seconds": 3 / SPEC.frame_rate})
    speech = synthesizer.speak(requests[0].symbols, requests[0].prompt, options=options)
    assert speech.codes.shape == (8, 3)
    assert not speech.is_complete


def test_one_request_that_goes_on_does_not_lengthen_the_others(synthesizer, requests):
    calls = []
    handle = synthesizer.model.trunk.register_forward_pre_hook(
        lambda module, arguments: calls.append(len(arguments[0]))
    )
    speeches = synthesizer.speak_many(requests)
    handle.remove()
    steps = [count for count in calls[1:] if count][: max(speech.codes.shape[1] for speech in speeches)]
    frames = sorted(speech.codes.shape[1] for speech in speeches)
    # At step n (from 1) exactly the rows that have more than n - 1 frames are still computed.
    assert steps == [sum(length >= n for length in frames) for n in range(1, max(frames) + 1)]


def test_the_time_of_a_batch_is_shared_by_the_audio_of_each(synthesizer, requests):
    cut = dataclasses.replace(requests[0], options=GREEDY.model_copy(update={"max_seconds": 2 / SPEC.frame_rate}))
    started = time.monotonic()
    speeches = synthesizer.speak_many([*requests, cut])
    passed = time.monotonic() - started
    assert len({speech.duration for speech in speeches}) > 1
    factors = [speech.seconds / speech.duration for speech in speeches]
    assert factors == pytest.approx([factors[0]] * len(factors))
    assert 0 < sum(speech.seconds for speech in speeches) <= passed
    assert _split_by_length(3.0, [0, 0]) == [1.5, 1.5]


@contextmanager
def batches_read(model):
    """Collect the batches that a model reads: by a forward pass, or into a cache."""
    seen, read = [], model.read

    def watched(batch, *arguments, **named):
        seen.append(batch)
        return read(batch, *arguments, **named)

    handle = model.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    model.read = watched
    try:
        yield seen
    finally:
        handle.remove()
        del model.read


def test_a_continuation_starts_after_its_prompt_and_keeps_the_prompt_out_of_the_speech(synthesizer, requests):
    options = GREEDY.model_copy(update={"continues_prompt": True, "max_seconds": 4 / SPEC.frame_rate})
    with batches_read(synthesizer.model) as seen:
        speech = synthesizer.speak(requests[0].symbols, requests[0].prompt, options=options)
    prompt = requests[0].prompt
    assert speech.codes.shape[1] <= 4
    assert len(seen[0].elements["text"]) == len(prompt.symbols) + 1 + len(requests[0].symbols) + 2
    assert seen[0].elements["target"][:, 0].tolist() == prompt.codes[0].tolist()
    for batch in seen[1:]:
        level = int(batch.elements["codebook"][0])
        assert batch.elements["target"][: prompt.codes.shape[1], :level].T.tolist() == prompt.codes[:level].tolist()


def test_a_continuation_by_its_task_has_the_prompt_as_its_prompt_and_speaks_from_there(synthesizer, requests):
    prompt = requests[0].prompt
    going_on = {"continues_prompt": True, "continuation": "task", "max_seconds": 4 / SPEC.frame_rate}
    request = dataclasses.replace(requests[0], options=GREEDY.model_copy(update=going_on))
    with batches_read(synthesizer.model) as seen:
        speech, plain = synthesizer.speak_many([request, requests[0]])
    assert same(plain, synthesizer.speak_many(requests[:1])[0])  # beside another task it is what it is alone
    assert 0 < speech.codes.shape[1] <= 4
    batches = [batch for batch in seen if batch.layout.task == CONTINUATION.name]
    assert len(batches) == 8
    assert len(batches[0].elements["target"]) == 0
    for batch in batches:
        assert len(batch.elements["text"]) == len(prompt.symbols) + 1 + len(request.symbols) + 2
        assert batch.elements["prompt"].T.tolist() == prompt.codes.tolist()
        assert batch.elements[TASK_MARKER.name].tolist() == [Marker.TTS_C.id]


def test_the_length_of_what_was_said_before_is_taken_off(synthesizer, requests):
    prompt = requests[0].prompt
    going_on = {"decoding": "nar-len", "duration": "average", "continues_prompt": True}
    lengths = [
        synthesizer.speak(requests[0].symbols, prompt, options=SamplingOptions(**going_on, continuation=way))
        for way in ("prefix", "task")
    ]
    assert lengths[0].codes.shape == lengths[1].codes.shape


def test_text_and_a_recorded_prompt_go_through_phonemizer_and_codec(synthesizer, checkpoint):
    item, other = checkpoint[1][0], checkpoint[1][2]
    wave = ToyCodec().decode([codes_for(other["symbols"], 0)])[0]
    prompt = synthesizer.encode_prompt(Audio(wave, SPEC.sample_rate), other["text"])
    assert prompt.symbols == tuple(other["symbols"])
    assert (prompt.codes[0] == codes_for(other["symbols"], 0)[0]).all()
    spoken = synthesizer.speak_text(item["text"], prompt, options=GREEDY)
    assert same(spoken, synthesizer.speak(item["symbols"], prompt, options=GREEDY))


def test_an_end_at_once_is_silence_and_no_error(synthesizer, requests):
    import torch

    bias = synthesizer.model.heads.bias
    before = bias.detach().clone()
    try:
        with torch.no_grad():
            bias[synthesizer.model.heads.spans["codes", 0][1] - 1] = 1e4
        speeches = synthesizer.speak_many(requests[:2])
    finally:
        with torch.no_grad():
            bias.copy_(before)
    for speech in speeches:
        assert speech.codes.shape == (8, 0)
        assert len(speech.audio.samples) == 0
        assert speech.is_complete


def test_a_context_is_one_text_and_one_run_of_codes_after_a_prompt_that_is_continued():
    synthesizer = untrained_synthesizer()
    prompt, context = Prompt(codes_for("ab", 0), ("a", "b")), Prompt(codes_for("cde", 1), ("c", "d", "e"))
    request = Request(("f",), prompt, context=context)
    condition = synthesizer.condition(request)
    table = PhonemeTable(synthesizer.card.phoneme_symbols)
    assert condition.symbol_ids.tolist() == table.encode("cde f")
    assert (condition.prefix == context.codes).all()
    assert (condition.prompt == prompt.codes).all()
    going_on = dataclasses.replace(request, options=SamplingOptions(continues_prompt=True))
    condition = synthesizer.condition(going_on)
    assert condition.symbol_ids.tolist() == table.encode("ab cde f")
    assert (condition.prefix == np.concatenate([prompt.codes, context.codes], axis=1)).all()
    assert (condition.prompt == prompt.codes).all()


def test_transcribe_speech_are_known_symbols_and_codes_without_a_frame_are_refused():
    synthesizer = untrained_synthesizer()
    codes = [codes_for("abcd", 0), codes_for("ab", 1)]
    heard = synthesizer.transcribe(codes)
    assert [set(one) <= set(synthesizer.card.phoneme_symbols) for one in heard] == [True, True]
    assert heard[1] == synthesizer.transcribe(codes[1:])[0]
    assert synthesizer.transcribe([]) == []
    with pytest.raises(ConfigurationError, match="no frame"):
        synthesizer.transcribe([codes[0], codes[0][:, :0]])
    with pytest.raises(ConfigurationError, match="3 codebooks"):
        synthesizer.transcribe([codes[0][:3]])


def test_requests_that_make_no_sense_are_one_sentence(synthesizer, requests):
    with pytest.raises(ConfigurationError, match="nothing to say"):
        synthesizer.speak(())
    with pytest.raises(ConfigurationError, match="The prompt has 3 codebooks, the model 8"):
        synthesizer.speak("ab", Prompt(requests[0].prompt.codes[:3]))
    with pytest.raises(ConfigurationError, match="give its codes and its text"):
        synthesizer.speak("ab", Prompt(requests[0].prompt.codes), options=SamplingOptions(continues_prompt=True))
    assert synthesizer.speak_many([]) == []


def test_another_revision_of_the_codec_is_refused(checkpoint):
    class NewerCodec(ToyCodec):
        spec = dataclasses.replace(SPEC, revision="2")

    with pytest.raises(CheckpointError, match="toy@1, but toy@2 is installed"):
        Synthesizer.load(checkpoint[0], ToyBackends(NewerCodec()))
