import numpy as np
import pytest

from valle.evaluation.systems.espeak import EspeakVoice, espeak_voice_revision
from valle.phonemes import open_phonemizer
from warehouse.errors import ConfigurationError


@pytest.fixture(scope="module")
def voice():
    return EspeakVoice()


def test_espeak_speaks_longer_for_longer_texts(voice):
    short, long = voice.speak("Hello."), voice.speak("Hello, how are you on this fine and sunny morning?")
    assert (short.sample_rate, long.sample_rate) == (22_050, 22_050)
    assert 0.2 < short.duration < 1.5 < long.duration < 6
    assert 0.1 < np.abs(long.samples).max() <= 1.0


def test_speaking_and_phonemizing_do_not_disturb_each_other(voice):
    phonemizer = open_phonemizer("espeak")
    before = phonemizer.phonemize(["hello world"], "en")
    assert voice.speak("Guten Tag.", "de").duration > 0.3
    assert phonemizer.phonemize(["hello world"], "en") == before


def test_a_text_without_words_is_next_to_no_speech(voice):
    assert voice.speak("").duration < 0.1


def test_a_language_without_a_voice_is_one_sentence(voice):
    with pytest.raises(ConfigurationError, match="has no voice for 'xx'"):
        voice.speak("hello", "xx")


def test_the_revision_names_the_library():
    assert espeak_voice_revision().startswith("espeak@")
