from pathlib import Path

import numpy as np
import pytest
import soundfile

from valle.audio import AudioLocation, UnreadableAudio, read_audio, read_blocks


def write(path: Path, samples: np.ndarray, sample_rate: int) -> AudioLocation:
    soundfile.write(path, samples, sample_rate, subtype="FLOAT")
    return AudioLocation(str(path))


def tone(seconds: float, sample_rate: int) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * sample_rate)) / sample_rate)).astype(np.float32)


@pytest.mark.parametrize("sample_rate", [16_000, 24_000, 44_100])
def test_blocks_joined_are_the_whole_recording_without_a_seam(tmp_path: Path, sample_rate: int):
    location = write(tmp_path / "a.wav", tone(3.3, sample_rate), sample_rate)
    blocks = list(read_blocks(location, 16_000, block_seconds=0.7))
    whole = read_audio(location, 16_000).samples
    joined = np.concatenate(blocks)
    assert len(blocks) > 3
    assert abs(len(joined) - len(whole)) <= 1
    length = min(len(joined), len(whole))
    assert joined[:length] == pytest.approx(whole[:length], abs=1e-3)


def test_stereo_is_mixed_and_a_span_is_read_alone(tmp_path: Path):
    both = np.stack([tone(2, 16_000), np.zeros(32_000, np.float32)], axis=1)
    location = write(tmp_path / "a.wav", both, 16_000)
    span = AudioLocation(location.path, start_sample=8_000, num_samples=4_000)
    assert np.concatenate(list(read_blocks(span, 16_000))) == pytest.approx(both[8_000:12_000].mean(axis=1))


@pytest.mark.parametrize(
    ("span", "reason"), [((0, 99_999), "truncated"), ((16_000, None), "empty"), ((0, None), "not_finite")]
)
def test_bad_audio_says_what_is_wrong(tmp_path: Path, span: tuple[int, int | None], reason: str):
    samples = tone(1, 16_000)
    if reason == "not_finite":
        samples[-1] = np.inf
    location = write(tmp_path / "a.wav", samples, 16_000)
    location = AudioLocation(location.path, start_sample=span[0], num_samples=span[1])
    with pytest.raises(UnreadableAudio) as error:
        list(read_blocks(location, 16_000))
    assert error.value.reason == reason
