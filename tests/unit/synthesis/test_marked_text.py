"""Marked-up text as speech: phonemes, pauses and tempo of each sentence, whole and streamed."""

import dataclasses

import numpy as np
import pytest

from tests.unit.synthesis.toy import untrained_synthesizer
from tests.unit.training.toy import SPEC, codes_for
from valle.synthesis.long_form import speak_long
from valle.synthesis.options import LongFormOptions, SamplingOptions, StreamOptions
from valle.synthesis.streaming.engine import iterate_chunks
from valle.synthesis.synthesizer import Prompt
from valle.synthesis.texts.marked_text import read_sentences
from valle.text.lexicon import Lexicon
from warehouse.errors import ConfigurationError

PROMPT = Prompt(codes_for("abch", 0), tuple("abch"))
SAMPLING = SamplingOptions(max_seconds=0.8, suppressed_codes=(SPEC.codebook_size,), seed=6)  # 40 frames a sentence


@pytest.fixture(scope="module")
def synthesizer():
    return untrained_synthesizer()


def read(synthesizer, text, **options):
    return read_sentences(synthesizer, text, language="en", options=LongFormOptions(**options))


def test_a_sentence_has_the_phonemes_of_its_spans(synthesizer):
    text = 'Ab [[dab]] <sub alias="fed">x</sub>, ef. <phoneme ph="ha">Gh</phoneme>!'
    first, second = read(synthesizer, text)
    assert "".join(first.symbols) == "b dab fedef"
    assert "".join(second.symbols) == "ha"
    with pytest.raises(ConfigurationError, match="'ʘ' in 'aʘ' is no phoneme of the model"):
        read(synthesizer, "Ab [[aʘ]].")


def test_a_lexicon_is_used_in_every_text(synthesizer):
    spoken = dataclasses.replace(synthesizer, lexicon=Lexicon({("gad", ""): "bec"}))
    assert ["".join(one.symbols) for one in read(spoken, "A gad. Gadfe.")] == ["bec", "adfe"]


def test_pauses_and_changes_of_tempo_split_and_stay_with_their_sentence(synthesizer):
    found = read(synthesizer, '[0.2s]Ab. Cd [1s]<break time="500ms"/> ef <prosody rate="50%">gh. Ha</prosody> b.')
    assert [one.text for one in found] == ["Ab.", "Cd", "ef", "gh.", "Ha", "b."]
    assert [one.pause for one in found] == [0.2, None, 1.5, None, None, None]
    assert [one.rate for one in found] == [1, 1, 1, 0.5, 0.5, 1]


def test_a_pause_is_silence_and_a_rate_is_time_in_whole_and_streamed_speech(synthesizer):
    text = '[0.2s]Ab.[0.4s] Cd. <prosody rate="50%">Ef.</prosody> Gh.'
    whole = speak_long(synthesizer, text, PROMPT, sampling=SAMPLING)
    assert whole.speech.codes.shape[1] == 4 * 40 + 10 + 20
    assert (whole.speech.codes[:, :10] == 0).all()
    rate = SPEC.sample_rate
    assert whole.speech.duration == pytest.approx(4 * 0.8 + 0.6 + 0.8, abs=0.1)
    chunks = list(iterate_chunks(synthesizer, text, PROMPT, sampling=SAMPLING, options=StreamOptions(window=0)))
    np.testing.assert_array_equal(np.concatenate([chunk.codes for chunk in chunks], axis=1), whole.speech.codes)
    samples = np.concatenate([chunk.samples for chunk in chunks])
    np.testing.assert_array_equal(samples[: 2 * rate], whole.speech.audio.samples[: 2 * rate])
    assert len(samples) == pytest.approx(len(whole.speech.audio.samples), abs=0.1 * rate)
