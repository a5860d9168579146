import numpy as np
import pytest

from tests.unit.backends.clips import sentences
from valle.backends.speaker import open_speaker_encoder
from valle.backends.speaker.resemblyzer import partial_starts, raise_loudness, without_pauses
from warehouse.errors import ConfigurationError


@pytest.fixture(scope="module")
def encoder():
    return open_speaker_encoder("resemblyzer")


def test_two_clips_of_a_voice_are_closer_than_clips_of_two_voices(encoder):
    clips = [*sentences(2, speakers=("am_onyx",)), *sentences(2, speakers=("af_bella",))]
    vectors = np.stack(encoder.embed([clip.samples for clip in clips]))
    cosines = vectors @ vectors.T
    assert np.diag(cosines) == pytest.approx(1.0, abs=1e-5)
    same, different = [cosines[0, 1], cosines[2, 3]], cosines[:2, 2:]
    assert min(same) > 0.75 > 0.72 > different.max()


def test_a_batch_gives_what_single_clips_give(encoder):
    clips = [clip.samples for clip in sentences(3)]
    batch = encoder.embed(clips)
    for samples, vector in zip(clips, batch, strict=True):
        assert encoder.embed([samples])[0] == pytest.approx(vector, abs=1e-5)


def test_long_pauses_and_a_lower_level_of_quiet_speech_do_not_change_the_voice(encoder):
    samples = sentences(1)[0].samples
    middle = len(samples) // 2
    paused = np.concatenate([samples[:middle], np.zeros(32_000, np.float32), samples[middle:]])
    plain, slow, quiet, quieter = encoder.embed([samples, paused, 0.05 * samples, 0.01 * samples])
    assert plain @ slow > 0.93
    assert quiet @ quieter > 0.999


def test_a_clip_without_sound_has_no_voice(encoder):
    vectors = encoder.embed([np.zeros(16_000, np.float32), sentences(1)[0].samples, np.zeros(0, np.float32)])
    assert [bool(np.isfinite(vector).all()) for vector in vectors] == [False, True, False]
    assert encoder.embed([]) == []


def test_quiet_speech_is_raised_and_loud_speech_left_alone():
    tone = np.sin(np.arange(16_000) / 10).astype(np.float32)
    assert 10 * np.log10(np.mean(raise_loudness(0.001 * tone) ** 2)) == pytest.approx(-30, abs=0.01)
    assert np.array_equal(raise_loudness(0.5 * tone), 0.5 * tone)


def test_pauses_are_shortened():
    tone = np.sin(np.arange(16_000) / 10).astype(np.float32)
    paused = np.concatenate([tone, np.zeros(32_000, np.float32), tone])
    assert 32_000 <= len(without_pauses(paused)) < 38_000


def test_partials_cover_the_clip():
    assert partial_starts(1_000) == [0]
    assert partial_starts(16_000 * 5)[0] == 0
    assert 16_000 * 5 - (partial_starts(16_000 * 5)[-1] + 160) * 160 < 77 * 160


def test_an_unknown_encoder_is_refused():
    with pytest.raises(ConfigurationError, match="resemblyzer"):
        open_speaker_encoder("other")
