"""A checkpoint under evaluation: its speech is kept, seeded by trial, and continues its prompt."""

import dataclasses
import json

import numpy as np
import pytest

from tests.unit.synthesis.test_synthesizer import ToyBackends
from tests.unit.synthesis.toy import ToyCodec, ToyEncoder
from tests.unit.training.toy import SPEC, codes_for, make_toy_set
from valle.audio import Audio, AudioLocation, read_audio, write_audio
from valle.checkpoints.checkpoint import read_card
from valle.checkpoints.runs import FORMAT, latest_checkpoint, read_summary
from valle.evaluation.items.items import EvaluationItem
from valle.evaluation.systems.audio_files import find_speech
from valle.evaluation.systems.checkpoint import CheckpointSystem
from valle.synthesis.options import BestOfOptions, SamplingOptions
from valle.training.loop import train
from valle.training.options import TrainOptions
from warehouse.errors import CheckpointError, ConfigurationError


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    home = tmp_path_factory.mktemp("toy")
    options = TrainOptions(
        training_set=make_toy_set(home, num_items=4, num_speakers=2, dev_items=0),
        run_dir=home / "run",
        model="nano",
        max_steps=2,
        batch_tokens=500,
        warmup_steps=1,
        prompt_seconds=(0.3, 0.3),
        log_every=2,
        save_every=2,
    )
    checkpoint = train(options).checkpoint
    return CheckpointSystem(checkpoint, read_summary(checkpoint), SamplingOptions(max_seconds=0.2, seed=5))


@pytest.fixture
def make_item(tmp_path):
    codec = ToyBackends().codec(SPEC.name)
    (samples,) = codec.decode([codes_for("abcd", 0)])
    write_audio(tmp_path / "prompt.wav", Audio(samples, SPEC.sample_rate))

    def make(utterance, *, trial=0, protocol="cross_sentence", text="ab cd"):
        return EvaluationItem(
            utterance=utterance,
            text=text,
            language="en",
            speaker="ann",
            location=None,
            duration=None,
            prompt="p",
            prompt_location=AudioLocation(str(tmp_path / "prompt.wav")),
            prompt_text="",
            prompt_duration=len(samples) / SPEC.sample_rate,
            protocol=protocol,
            trial=trial,
        )

    return make


def speak(system, items, directory):
    system.speak(items, directory, ToyBackends())
    return {(one.utterance, one.trial): one for one in find_speech(items, system.name, directory)}


def samples_of(spoken):
    return read_audio(AudioLocation(str(spoken.path))).samples


def test_every_item_is_spoken_and_timed_and_each_trial_differs(system, make_item, tmp_path):
    items = [make_item("a", trial=trial) for trial in range(4)]
    spoken = speak(system, items, tmp_path / "speech")
    assert all(one.failure is None and one.seconds > 0 for one in spoken.values())
    assert len({samples_of(one).tobytes() for one in spoken.values()}) > 1


def test_speech_that_exists_is_kept_and_what_was_lost_is_made_again_the_same(system, make_item, tmp_path):
    items = [make_item("a"), make_item("b")]
    first = speak(system, items, tmp_path / "speech")
    kept, lost = first["a", 0].path, first["b", 0].path
    written, content = kept.stat().st_mtime_ns, lost.read_bytes()
    lost.unlink()
    speak(system, items, tmp_path / "speech")
    assert kept.stat().st_mtime_ns == written
    assert lost.read_bytes() == content


@pytest.mark.parametrize(("batch", "kept"), [(1, 2), (2, 2), (4, 0)])
def test_what_is_lost_when_it_ends_in_the_third_utterance_is_one_batch(system, make_item, tmp_path, batch, kept):
    class Ending(ToyCodec):
        left = 2

        def decode(self, codes):
            self.left -= len(codes)
            if self.left < 0:
                raise KeyboardInterrupt
            return super().decode(codes)

    items = [make_item(name) for name in "abcd"]
    system = dataclasses.replace(system, batch=batch)
    with pytest.raises(KeyboardInterrupt):
        system.speak(items, tmp_path / "speech", ToyBackends(Ending()))
    assert len(list((tmp_path / "speech" / system.name).glob("*.flac"))) == kept


def test_speech_does_not_depend_on_the_batch(system, make_item, tmp_path):
    items = [make_item(name) for name in "abc"]
    alone = speak(system, items, tmp_path / "alone")
    together = speak(dataclasses.replace(system, batch=3), items, tmp_path / "together")
    assert all(np.array_equal(samples_of(alone[key]), samples_of(together[key])) for key in alone)


def test_of_several_takes_the_best_is_kept_whatever_the_batch(system, make_item, tmp_path):
    items = [make_item(name) for name in "ab"]
    chosen_by = BestOfOptions(count=6, word_weight=0, character_weight=0)
    first = speak(system, items, tmp_path / "first")
    best = speak(dataclasses.replace(system, best_of=chosen_by, batch=2), items, tmp_path / "best")
    (wanted,) = ToyEncoder().embed([read_audio(items[0].prompt_location).samples])

    def likeness(spoken):
        return [float(ToyEncoder().embed([samples_of(spoken[name, 0])])[0] @ wanted) for name in "ab"]

    assert all(after >= before - 0.01 for before, after in zip(likeness(first), likeness(best), strict=True))
    assert sum(likeness(best)) > sum(likeness(first))


def test_takes_of_a_continuation_are_refused(system, make_item, tmp_path):
    item = make_item("a", protocol="librispeech_continuation", text="abcd efgh")
    with pytest.raises(ConfigurationError, match=r"best_of\.count at 1"):
        speak(dataclasses.replace(system, best_of=BestOfOptions(count=2)), [item], tmp_path / "speech")


def test_a_continuation_is_its_prompt_and_what_follows(system, make_item, tmp_path):
    item = make_item("a", protocol="librispeech_continuation", text="abcd efgh")
    spoken = speak(system, [item], tmp_path / "speech")["a", 0]
    prompt = read_audio(item.prompt_location).samples
    whole = samples_of(spoken)
    assert len(whole) > len(prompt)
    assert np.allclose(whole[: len(prompt)], prompt, atol=1 / 32)


def test_an_item_without_a_prompt_is_synthesized(system, make_item, tmp_path):
    item = dataclasses.replace(make_item("a"), prompt="", prompt_location=None)
    assert speak(system, [item], tmp_path / "speech")["a", 0].failure is None


def test_the_summary_of_a_checkpoint_follows_its_card(system):
    card = read_card(system.checkpoint)
    assert latest_checkpoint(system.checkpoint.parent.parent) == system.checkpoint
    for field in dataclasses.fields(system.summary):
        assert getattr(card, field.name) == getattr(system.summary, field.name)
    assert card.checkpoint_id == system.summary.checkpoint_id


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 99}', json.dumps({"format": FORMAT, "run_id": "r"})])
def test_a_card_that_makes_no_sense_is_one_sentence(content, tmp_path):
    with pytest.raises(CheckpointError, match="There is no checkpoint"):
        read_summary(tmp_path)
    (tmp_path / "checkpoint.json").write_text(content, encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"\.$"):
        read_summary(tmp_path)


def test_the_identity_holds_checkpoint_and_sampling(system):
    other = dataclasses.replace(system, sampling=SamplingOptions(max_seconds=0.2, seed=6))
    assert system.summary.checkpoint_id in system.identity
    assert other.identity != system.identity
    nested = dataclasses.replace(system, sampling=SamplingOptions(max_seconds=0.2, seed=5, dry={"multiplier": 1.0}))
    assert nested.identity != system.identity


def test_an_option_that_is_off_does_not_change_the_identity(system):
    spelled_out = SamplingOptions.model_validate(SamplingOptions(max_seconds=0.2, seed=5).model_dump())
    assert dataclasses.replace(system, sampling=spelled_out).identity == system.identity
    assert "mirostat" not in system.identity
    one_take = BestOfOptions(count=1, similarity_weight=0.5)
    assert dataclasses.replace(system, best_of=one_take).identity == system.identity


def test_several_takes_are_another_system(system):
    several = {dataclasses.replace(system, best_of=BestOfOptions(count=n)).identity for n in (1, 2, 3)}
    assert len(several) == 3
