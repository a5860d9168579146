"""Editing: what is outside the span stays, bit for bit, and what cannot be edited is refused in one sentence."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.synthesis.toy import untrained_synthesizer
from tests.unit.training.toy import SPEC
from valle.audio import Audio
from valle.synthesis.editing import Replacement, blend, edit, find_words, parse_replacement, read_recording
from valle.synthesis.options import SamplingOptions
from valle.synthesis.texts.recorded_text import TextOptions
from warehouse.errors import CheckpointError, ConfigurationError

TEXT = "ab cd ef, gh"
SOURCE = TextOptions(text=TEXT)
OPTIONS = SamplingOptions(max_seconds=2.0)


@pytest.fixture(scope="module")
def synthesizer():
    plain = untrained_synthesizer(stop=2.0)
    return replace(plain, card=replace(plain.card, options={"editing_ratio": 0.5}))


@pytest.fixture
def recording(synthesizer):
    """Four words of ten frames each."""
    codes = np.random.default_rng(0).integers(0, 32, 40)
    samples = np.repeat(codes / 32, SPEC.hop_length).astype(np.float32)
    return read_recording(synthesizer, Audio(samples, SPEC.sample_rate), SOURCE)


@pytest.mark.parametrize(("decoding", "method"), [("ar", "task"), ("nar-len", "task"), ("ar", "masked")])
def test_an_edit_changes_only_the_span_bit_for_bit(synthesizer, recording, decoding, method):
    model = synthesizer if method == "task" else untrained_synthesizer(stop=2.0)
    options = OPTIONS.model_copy(update={"decoding": decoding})
    edited = edit(model, recording, [Replacement("CD", "hgfe a")], options, method)
    assert edited.text == "ab hgfe a ef, gh"
    ((start, end),) = edited.spans
    assert start == 10
    assert np.array_equal(edited.codes[:, :10], recording.codes[:, :10])
    assert np.array_equal(edited.codes[:, end:], recording.codes[:, 20:])
    hop, fade = SPEC.hop_length, 8
    before, after = edited.audio.samples[: start * hop - fade], edited.audio.samples[end * hop + fade :]
    assert np.array_equal(before, recording.audio.samples[: len(before)])
    assert np.array_equal(after, recording.audio.samples[-len(after) :])
    assert len(edited.audio.samples) == edited.codes.shape[1] * hop


def test_several_places_are_edited_at_once_and_their_spans_are_those_of_the_result(synthesizer, recording):
    places = [Replacement("gh", "a"), Replacement("ab", "")]
    edited = edit(synthesizer, recording, places, OPTIONS)
    (first, second) = edited.spans
    assert edited.text == "cd ef, a"
    assert first == (0, 0) and second[0] == 20 and second[1] == edited.codes.shape[1]
    assert np.array_equal(edited.codes[:, :20], recording.codes[:, 10:30])


def test_words_are_found_without_case_and_punctuation_and_must_be_there_once():
    assert find_words(["One,", "two;", "one", "(three)"], "two one") == (1, 3)
    with pytest.raises(ConfigurationError, match="are 2 times in the text"):
        find_words(["One,", "two;", "one"], "ONE")
    with pytest.raises(ConfigurationError, match=r"'four' are not in the text"):
        find_words(["One,", "two"], "four")


def test_what_cannot_be_edited_is_refused_in_a_sentence(synthesizer, recording):
    with pytest.raises(ConfigurationError, match="share words"):
        edit(synthesizer, recording, [Replacement("ab cd", "a"), Replacement("cd", "b")], OPTIONS)
    with pytest.raises(ConfigurationError, match="no phonemes"):
        edit(synthesizer, recording, [Replacement("cd", "123")], OPTIONS)
    with pytest.raises(ConfigurationError, match="at most 30 s"):
        read_recording(synthesizer, Audio(np.zeros(31 * 800, np.float32), 800), SOURCE)
    with pytest.raises(ConfigurationError, match="cannot be located"):
        read_recording(synthesizer, recording.audio, TextOptions(text="abcd"))
    for text in ("old new", "=new", " = "):
        with pytest.raises(ConfigurationError, match="old words=new words"):
            parse_replacement(text)
    assert parse_replacement("a  b = c=d") == Replacement("a b", "c=d")


def test_a_checkpoint_that_has_not_learnt_to_edit_says_so(recording):
    with pytest.raises(
        CheckpointError, match=r"toy-0 has not learnt to edit speech; train with --options.editing-ratio"
    ):
        edit(untrained_synthesizer(), recording, [Replacement("cd", "a")], OPTIONS)


def test_a_blend_keeps_the_recording_but_for_the_fades():
    before, decoded, after = np.zeros(6), np.ones(12), np.zeros(5)
    joined = blend(before, decoded, after, first=6, last=9, fade=2)
    assert joined.tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0]
    assert blend(before[:0], decoded, after[:0], first=0, last=3, fade=2).tolist() == [1, 1, 1]
