import numpy as np
import pytest

from valle.audio import Audio
from valle.evaluation.metrics.defects import count_repeated_words, ended_early, find_silence

RATE = 16_000


def speech(*pieces):
    """Noise at the given levels: (seconds, amplitude)."""
    generator = np.random.default_rng(0)
    parts = [amplitude * generator.standard_normal(round(seconds * RATE)) for seconds, amplitude in pieces]
    return Audio(np.concatenate(parts).astype(np.float32), RATE)


def test_the_longest_silence_and_the_share_of_silence_are_found():
    silence = find_silence(speech((1.0, 0.1), (0.5, 0.0), (1.0, 0.1), (0.3, 1e-5), (0.2, 0.1)))
    assert silence.longest == pytest.approx(0.5, abs=0.03)
    assert silence.share == pytest.approx(0.8 / 3.0, abs=0.02)


def test_quiet_speech_is_no_silence():
    silence = find_silence(speech((1.0, 0.005)))
    assert (silence.longest, silence.share) == (0.0, 0.0)


@pytest.mark.parametrize("audio", [Audio(np.zeros(RATE, np.float32), RATE), Audio(np.zeros(0, np.float32), RATE)])
def test_nothing_is_all_silence(audio):
    assert find_silence(audio).share == 1.0
    assert find_silence(audio).longest == pytest.approx(audio.duration, abs=0.02)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("the cat sat", "the cat sat", 0),
        ("the cat sat", "the cat sat the cat sat", 3),
        ("the cat sat down", "the cat cat sat down", 1),
        ("very very good", "very very good", 0),
        ("very very good", "very very very good", 2),
        ("a b c", "", 0),
        ("a b c", "x y x y", 2),
        ("one two three", "four five six", 0),
    ],
)
def test_the_longest_run_that_is_repeated_too_often(reference, hypothesis, expected):
    assert count_repeated_words(reference, hypothesis) == expected


def test_speech_that_is_too_short_for_its_words_ended_early():
    assert ended_early(0.3, 8)
    assert not ended_early(2.4, 8)
