import numpy as np
import pytest

from valle.codec_training.channel import other_channels


@pytest.fixture
def crops():
    rng = np.random.default_rng(3)
    # Coloured, so that a changed spectrum is no matter of luck.
    return np.cumsum(rng.standard_normal((200, 9_600)), axis=1).astype(np.float32) * 0.01


def levels(crops):
    """Decibels [B, bands] of a few wide bands."""
    power = np.square(np.abs(np.fft.rfft(crops)))
    return 10 * np.log10(np.stack([band.mean(1) for band in np.array_split(power[:, 100:], 8, axis=1)], 1))


def test_about_the_share_is_changed_and_the_rest_is_left(crops):
    heard = other_channels(crops, share=0.3, rng=np.random.default_rng(0))
    changed = (heard != crops).any(1)
    assert 40 < changed.sum() < 80
    assert heard.dtype == np.float32 and heard is not crops
    np.testing.assert_array_equal(other_channels(crops, share=0.0, rng=np.random.default_rng(0)), crops)


def test_every_microphone_is_another_and_as_loud(crops):
    heard = other_channels(crops, share=1.0, rng=np.random.default_rng(0))
    gains = levels(heard) - levels(crops)
    assert np.all(gains.std(0) > 2)  # over crops, in each band
    loudness = 10 * np.log10(np.square(heard).mean(1) / np.square(crops).mean(1))
    assert np.abs(loudness).max() < 0.5  # the loudest noise adds 0.14 dB


def test_some_are_in_noise(crops):
    paused = np.random.default_rng(4).standard_normal(crops.shape, dtype=np.float32)
    paused[:, 2_400:7_200] = 0
    heard = other_channels(paused, share=1.0, rng=np.random.default_rng(0))
    # A filter rings for a few milliseconds only; what is in the middle of a pause is noise.
    ratio = np.sqrt(np.square(heard[:, 4_000:5_600]).mean(1) / np.square(paused).mean(1))
    assert 0.25 < (ratio > 10 ** (-50 / 20)).mean() < 0.55


def test_silence_stays(crops):
    assert not other_channels(np.zeros_like(crops), share=1.0, rng=np.random.default_rng(0)).any()
