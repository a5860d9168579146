"""Transforms of a recording, and what prompts are made of."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.synthesis.toy import toy_card, untrained_synthesizer
from tests.unit.training.toy import SPEC
from valle.audio import Audio
from valle.checkpoints.checkpoint import read_card
from valle.checkpoints.runs import newest_checkpoint
from valle.synthesis.learnt import unfamiliar
from valle.synthesis.options import MaskedOptions, SamplingOptions, sampling_of
from valle.synthesis.prompts import fit_length, join_prompts
from valle.synthesis.synthesizer import Prompt
from valle.synthesis.texts.recorded_text import TextOptions
from valle.synthesis.tokens import phonemize_text, spell_phonemes, transcribe_speech
from valle.synthesis.transforms import (
    TRANSFORMS,
    _symbol_ids,
    convert_draft,
    split_at_quiet_points,
    transform,
    transform_sampling,
)
from warehouse.errors import CheckpointError, ConfigurationError

LEARNT = {transform.option: 0.1 for transform in TRANSFORMS.values()} | {
    "transcription_ratio": 0.1,
    "phonemes_ratio": 0.1,
    "spelling_ratio": 0.1,
}
MASKED = SamplingOptions(decoding="nar-len", masked=MaskedOptions(steps=3))


@pytest.fixture(scope="module")
def synthesizer():
    plain = untrained_synthesizer(stop=2.0)
    return replace(plain, card=replace(plain.card, options=LEARNT))


@pytest.fixture
def recording():
    samples = np.repeat(np.random.default_rng(0).integers(1, 32, 50) / 32, SPEC.hop_length)
    return Audio(samples.astype(np.float32), SPEC.sample_rate)


@pytest.fixture
def voice():
    return Prompt(np.ones((8, 20), np.int16))


@pytest.mark.parametrize("name", TRANSFORMS)
def test_the_result_is_as_long_as_the_recording(synthesizer, recording, voice, name):
    done = transform(synthesizer, name, recording, MASKED, voice=voice, source=TextOptions(text="abc"))
    speech = done.speech
    assert speech.codes.shape == (8, 50) and len(speech.audio.samples) == len(recording.samples)
    assert (done.text.text, transform(synthesizer, name, recording, MASKED, voice=voice).text.is_transcribed) == (
        "abc",
        name != "sr",
    )
    by_frame = transform(synthesizer, name, recording, SamplingOptions(), voice=voice)
    assert by_frame.speech.codes.shape[1] <= 60


def test_sampling_that_is_left_open_is_nar_len_where_the_checkpoint_has_it(synthesizer):
    trained = {"sampling": {"guidance": 2.0, "temperature": 0.7, "top_p": 0.9}}

    def completed(given, **options):
        card = replace(synthesizer.card, options=LEARNT | trained | options)
        sampling = transform_sampling(card, given, sampling_of(card.options))
        return sampling.decoding, sampling.guidance, sampling.temperature

    assert completed(SamplingOptions(), nar_len_ratio=0.3) == ("nar-len", 2.0, 0.7)
    assert completed(SamplingOptions(guidance=3.0), nar_len_ratio=0.3) == ("nar-len", 3.0, 0.7)
    assert completed(SamplingOptions(decoding="ar"), nar_len_ratio=0.3)[0] == "ar"
    assert completed(SamplingOptions(), nar_len_ratio=0.0) == ("ar", 2.0, 0.7)


def test_a_task_that_was_not_learnt_and_a_missing_voice_are_one_sentence(synthesizer, recording):
    with pytest.raises(CheckpointError, match=r"toy-0 has not learnt to remove noise.*--options\.suppression-ratio"):
        transform(untrained_synthesizer(), "ns", recording, MASKED)
    with pytest.raises(ConfigurationError, match="To extract a speaker, give --voice"):
        transform(synthesizer, "tse", recording, MASKED)
    for refused in (transcribe_speech, phonemize_text, spell_phonemes):
        with pytest.raises(CheckpointError, match="toy-0 has not learnt to"):
            refused(untrained_synthesizer(), recording if refused is transcribe_speech else "ab")


def test_a_long_recording_is_cut_at_its_quietest_points_and_joined_again(synthesizer):
    rate = 800
    samples = np.full(30 * rate, 0.5, np.float32)
    samples[10 * rate : 10 * rate + 32] = 0
    pieces = split_at_quiet_points(Audio(samples, rate))
    assert len(pieces) == 3 and abs(len(pieces[0]) - 10 * rate) < 40
    assert np.array_equal(np.concatenate(pieces), samples)
    assert all(len(piece) <= 12 * rate for piece in pieces)
    done = transform(synthesizer, "ns", Audio(samples, rate), MASKED)
    assert len(done.text.pieces) == 3
    assert done.speech.codes.shape[1] == pytest.approx(30 * 50, abs=3)


def test_a_draft_keeps_the_more_of_the_recording_the_more_of_the_schedule_is_skipped(synthesizer, recording, voice):
    (codes,) = synthesizer.codec.encode([recording.samples])
    kept = []
    for share in (0.0, 0.5, 0.95):
        source = TextOptions(text="abc")
        speech = convert_draft(synthesizer, recording, voice, MASKED, source=source, kept=share).speech
        assert speech.codes.shape == codes.shape
        kept.append((speech.codes[0] == codes[0]).mean())
    assert kept[0] < 0.3 < kept[1] < kept[2] and kept[2] > 0.8
    for source in (TextOptions(text="123"), TextOptions(transcribe=False)):
        with pytest.raises(ConfigurationError, match="A draft speaks the words"):
            convert_draft(synthesizer, recording, voice, MASKED, source=source)


def test_tokens_are_of_the_table_and_an_empty_text_is_refused(synthesizer, recording):
    assert set(transcribe_speech(synthesizer, recording)) <= set(synthesizer.card.phoneme_symbols)
    assert set(phonemize_text(synthesizer, "ab")) <= set(synthesizer.card.phoneme_symbols)
    assert isinstance(spell_phonemes(synthesizer, ["a", "b"]), str)
    with pytest.raises(ConfigurationError, match="text is empty"):
        phonemize_text(synthesizer, " ")
    with pytest.raises(ConfigurationError, match="no phonemes"):
        spell_phonemes(synthesizer, [])


def test_prompts_are_joined_trimmed_and_repeated_to_their_shares():
    low, high = np.zeros((8, 10), np.int16), np.ones((8, 30), np.int16)
    assert join_prompts([low, high]).shape == (8, 40)
    mixed = join_prompts([low, high], shares=[0.75, 0.25], num_frames=40)
    assert mixed.shape == (8, 40) and mixed[0].tolist() == [0] * 30 + [1] * 10
    assert join_prompts([low, high], shares=[1, 1])[0].tolist() == [0] * 20 + [1] * 20
    assert fit_length(np.arange(3)[None], 7)[0].tolist() == [0, 1, 2, 0, 1, 2, 0]
    with pytest.raises(ConfigurationError, match="2 prompts and 1 shares"):
        join_prompts([low, high], shares=[1.0])
    with pytest.raises(ConfigurationError, match="positive share"):
        join_prompts([low, high], shares=[1.0, 0.0])


def test_silence_before_a_sentence_is_no_part_of_the_speech(synthesizer):
    lead = synthesizer.encode_silence(0.2)
    assert lead.shape == (8, 10) and not lead.any()
    options = MASKED.model_copy(update={"seconds": 0.4})
    speech = synthesizer.speak(list("abc"), Prompt(np.ones((8, 20), np.int16), lead=lead), options=options)
    assert speech.codes.shape == (8, 20)


def test_languages_and_symbols_that_were_never_seen_are_named():
    card = toy_card()
    assert unfamiliar(card, list("abc"), "en") == []
    assert unfamiliar(card, ["a", "ʒ", "ø"], "fr") == [
        "toy-0 was trained on en, not on fr.",
        "toy-0 has no symbol for ø ʒ.",
    ]


def test_symbols_are_those_of_the_table_of_the_model(synthesizer):
    strings = {symbol: number for number, symbol in enumerate(("<unk>", "<bos>", "<eos>", "<mask>", "a", "b", "ab"))}
    card = replace(toy_card(), phoneme_strings=strings)
    assert unfamiliar(card, list("abc"), "en") == ["toy-0 has no symbol for c."]
    assert _symbol_ids(replace(synthesizer, card=card), "ab", "en").tolist() == [1, 6, 2]


def test_a_phoneme_without_training_is_named_and_punctuation_is_not(tmp_path):
    card = replace(toy_card(), trained_symbols=tuple("abcdefg"))
    assert unfamiliar(card, list("abch a"), "en") == ["toy-0 was trained without the phonemes h."]
    assert unfamiliar(card, ["a", " "], "en") == []
    english = read_card(newest_checkpoint(tmp_path, "english"))
    assert unfamiliar(english, ["f", "ʏ", "n", "f"], "en") == ["english-10300 was trained without the phonemes ʏ."]
