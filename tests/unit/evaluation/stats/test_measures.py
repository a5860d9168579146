from dataclasses import replace

import pytest

from valle.evaluation.stats.bootstrap import BootstrapOptions
from valle.evaluation.stats.measures import all_measures, estimate_measures

FAST = BootstrapOptions(replicas=200)


@pytest.fixture
def measured(make_row):
    """One utterance of which everything was measured."""
    return replace(
        make_row(),
        duration=3.0,
        reference_duration=2.0,
        num_phonemes=10,
        phoneme_errors=2,
        sim_r=0.6,
        dnsmos_ovrl=3.0,
        distillmos=4.0,
        repeated_words=2,
        longest_silence=0.5,
        first_audio_seconds=0.4,
    )


@pytest.fixture
def missing(measured):
    """The same without speech, as `score` makes it."""
    return replace(
        measured,
        utterance="u1",
        path=None,
        duration=None,
        phoneme_errors=10,
        sim_r=0.0,
        dnsmos_ovrl=None,
        distillmos=None,
        repeated_words=None,
        longest_silence=None,
        first_audio_seconds=None,
    )


def values(rows):
    return {name: estimate.value for name, estimate in estimate_measures(rows, options=FAST).items()}


def test_every_measure_follows_its_definition(measured):
    found = values([measured])
    assert found == pytest.approx(
        {
            "per": 0.2,
            "sim_r": 0.6,
            "dnsmos": 3.0,
            "distillmos": 4.0,
            "duration_error": 0.5,
            "repetition": 1.0,
            "early_end": 0.0,
            "faulty": 1.0,
            "long_silence": 0.0,
            "first_audio": 0.4,
        }
    )
    assert set(found) == {measure.name for measure in all_measures()}


def test_missing_speech_has_the_worst_value_of_every_scale(measured, missing):
    found = values([measured, missing])
    assert found == pytest.approx(
        {
            "per": 12 / 20,
            "sim_r": 0.3,
            "dnsmos": 2.0,
            "distillmos": 2.5,
            "duration_error": 0.75,
            "repetition": 1.0,
            "early_end": 0.5,
            "faulty": 1.0,
            "long_silence": 0.5,
            "first_audio": 0.4,
        }
    )


def test_measures_that_no_row_has_are_omitted(make_row, missing):
    assert values([make_row()]) == {"early_end": 0.0}  # the duration alone says so
    assert set(values([missing])) == {"per", "sim_r"}


def test_phoneme_errors_are_pooled_and_intervals_are_by_speaker(measured):
    long = replace(measured, utterance="u2", speaker="bob", num_phonemes=90, phoneme_errors=0)
    per = estimate_measures([measured, long], options=FAST)["per"]
    assert per.value == pytest.approx(2 / 100)
    assert per.low == 0.0 and per.high == pytest.approx(0.2)
    assert estimate_measures([measured], options=FAST)["per"].low is None


def test_speech_is_faulty_that_repeats_or_ends_early_or_is_missing(measured, missing):
    sound = replace(measured, repeated_words=1)
    early = replace(sound, utterance="u2", duration=0.39)  # of four words
    for faulty in (measured, early, missing):
        assert values([sound, faulty])["faulty"] == 0.5
    assert values([sound, early])["early_end"] == 0.5
    assert values([sound, sound, measured, early])["faulty"] == 0.5


def test_a_short_duration_is_as_wrong_as_a_long_one_and_one_repeated_word_is_no_loop(measured):
    short = replace(measured, duration=1.0, repeated_words=1, longest_silence=2.0)
    found = values([short])
    assert (found["duration_error"], found["repetition"], found["long_silence"]) == (0.5, 0.0, 1.0)
