import numpy as np
import pytest

from tests.unit.backends.clips import sentences
from valle.backends.vad import FRAME_SECONDS, open_voice_activity, spans_from_probabilities, voice_activity_revision
from warehouse.errors import ConfigurationError


@pytest.fixture(scope="module")
def detector():
    return open_voice_activity("silero")


@pytest.fixture(scope="module")
def speech():
    return sentences(1)[0].samples


def test_speech_between_silences_is_found(detector, speech):
    samples = np.concatenate([np.zeros(16_000, np.float32), speech, np.zeros(16_000, np.float32)])
    spans = detector.speech_spans(samples)
    assert spans[0].start == pytest.approx(1.0, abs=0.3)
    assert spans[-1].end == pytest.approx(1.0 + len(speech) / 16_000, abs=0.4)


def test_silence_and_noise_hold_no_speech(detector):
    noise = (0.1 * np.random.default_rng(0).standard_normal(48_000)).astype(np.float32)
    assert detector.speech_spans(np.zeros(48_000, np.float32)) == []
    assert detector.speech_spans(noise) == []
    assert detector.speech_spans(np.zeros(0, np.float32)) == []


def test_a_stream_gives_the_same_probabilities_however_it_is_cut(detector, speech):
    whole = detector.speech_probabilities([speech])
    blocks = np.split(speech, [100, 700, 5_000, 5_001, 20_000])
    assert len(whole) == -(-len(speech) // 512)
    assert np.array_equal(whole, detector.speech_probabilities(blocks))


def test_spans_begin_at_the_onset_and_end_where_it_stays_quiet():
    probabilities = np.array([0.1] * 10 + [0.9] * 20 + [0.4] * 10 + [0.9] * 5 + [0.1] * 10 + [0.9] * 2, np.float32)
    (span,) = spans_from_probabilities(probabilities)
    assert (span.start, span.end) == (10 * FRAME_SECONDS, 45 * FRAME_SECONDS)


def test_a_dip_shorter_than_a_pause_does_not_split():
    probabilities = np.array([0.9] * 20 + [0.1] * 2 + [0.9] * 20, np.float32)
    assert len(spans_from_probabilities(probabilities)) == 1
    assert len(spans_from_probabilities(probabilities, min_pause=0.05)) == 2


def test_an_unknown_detector_is_refused():
    with pytest.raises(ConfigurationError, match="silero"):
        open_voice_activity("other")
    assert voice_activity_revision("silero").startswith("silero@")
