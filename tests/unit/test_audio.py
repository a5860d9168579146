import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.memory import peak_of
from valle.audio import AudioLocation, UnreadableAudio, read_audio, read_blocks, read_header


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


def test_the_channel_of_a_location_is_read_alone(tmp_path: Path):
    both = np.stack([tone(2, 16_000), np.zeros(32_000, np.float32)], axis=1)
    location = write(tmp_path / "a.wav", both, 16_000)
    for channel in (0, 1):
        alone = replace(location, channel=channel)
        np.testing.assert_array_equal(read_audio(alone).samples, both[:, channel])
        np.testing.assert_array_equal(np.concatenate(list(read_blocks(alone, 16_000))), both[:, channel])
    with pytest.raises(UnreadableAudio, match="missing_channel"):
        read_audio(replace(location, channel=2))


def test_opposite_phase_is_not_silence(tmp_path: Path):
    opposite = np.stack([tone(1, 16_000), -tone(1, 16_000)], axis=1)
    location = write(tmp_path / "a.wav", opposite, 16_000)
    assert np.abs(read_audio(location).samples).max() > 0.4
    assert all(np.abs(block).max() > 0.4 for block in read_blocks(location, 16_000, block_seconds=0.25))


def test_stereo_is_mixed_and_a_span_is_read_alone(tmp_path: Path):
    both = np.stack([tone(2, 16_000), np.zeros(32_000, np.float32)], axis=1)
    location = write(tmp_path / "a.wav", both, 16_000)
    span = AudioLocation(location.path, start_sample=8_000, num_samples=4_000)
    assert np.concatenate(list(read_blocks(span, 16_000))) == pytest.approx(both[8_000:12_000].mean(axis=1))


@pytest.mark.parametrize(
    ("span", "reason"), [((0, 99_999), "truncated"), ((16_000, None), "empty"), ((0, None), "not_finite")]
)
def test_bad_audio_is_an_error_with_its_reason(tmp_path: Path, span: tuple[int, int | None], reason: str):
    samples = tone(1, 16_000)
    if reason == "not_finite":
        samples[-1] = np.inf
    location = write(tmp_path / "a.wav", samples, 16_000)
    location = AudioLocation(location.path, start_sample=span[0], num_samples=span[1])
    with pytest.raises(UnreadableAudio) as error:
        list(read_blocks(location, 16_000))
    assert error.value.reason == reason


@pytest.mark.parametrize("value", [3e38, 40_000.0])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("sample_rate", [16_000, 24_000])
def test_samples_on_another_scale_are_refused(tmp_path: Path, value: float, channels: int, sample_rate: int):
    samples = np.where(np.arange(16_000) % 2, value, -value).astype(np.float32)
    location = write(tmp_path / "a.wav", np.stack([samples] * channels, axis=1), 16_000)
    for read in (lambda: read_audio(location, sample_rate), lambda: list(read_blocks(location, sample_rate))):
        with pytest.raises(UnreadableAudio, match=r"out_of_range|not_finite"):
            read()


def test_samples_a_little_over_full_scale_are_clipped(tmp_path: Path):
    location = write(tmp_path / "a.wav", 3 * tone(1, 16_000), 16_000)
    assert np.abs(read_audio(location).samples).max() == 1.0
    assert max(np.abs(block).max() for block in read_blocks(location, 24_000)) == 1.0


def test_a_missing_file_and_a_file_without_audio_are_one_kind_of_error(tmp_path: Path):
    (tmp_path / "text.wav").write_bytes(b"no audio at all" * 50)
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    reasons = {}
    for name in ("text", "empty", "folder", "pipe", "loop", "absent"):
        for read in (read_audio, read_header, lambda location: list(read_blocks(location, 16_000))):
            with pytest.raises(UnreadableAudio) as error:
                read(AudioLocation(str(tmp_path / f"{name}.wav")))
            reasons.setdefault(name, set()).add(error.value.reason)
    assert reasons == {
        "text": {"undecodable"},
        "empty": {"undecodable"},
        "folder": {"missing_file"},
        "pipe": {"not_a_file"},
        "loop": {"undecodable"},
        "absent": {"missing_file"},
    }


@pytest.mark.parametrize("sample_rate", [1, 499, 1_000_001])
def test_a_rate_that_is_none_of_speech_is_refused_before_resampling(tmp_path: Path, sample_rate: int):
    # Eight kilobytes at one hertz are 384 MB at 24 kHz.
    location = write(tmp_path / "a.wav", tone(1, 4_000), 16_000)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[24:28] = sample_rate.to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(content)
    for read in (read_audio, read_header, lambda location: list(read_blocks(location, 16_000))):
        with pytest.raises(UnreadableAudio) as error:
            read(location)
        assert error.value.reason == "sample_rate"


def test_a_flac_from_a_pipe_is_read_whole(tmp_path: Path):
    soundfile.write(tmp_path / "a.flac", tone(2, 16_000), 16_000)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    (tmp_path / "b.flac").write_bytes(bytes(content))
    whole, streamed = (read_audio(AudioLocation(str(tmp_path / name))) for name in ("a.flac", "b.flac"))
    np.testing.assert_array_equal(whole.samples, streamed.samples)
    assert read_header(AudioLocation(str(tmp_path / "b.flac"))).num_samples == 32_000


def test_a_member_of_an_archive_is_its_range_of_bytes(tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", tone(1, 16_000), 16_000)
    content = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "archive").write_bytes(b"x" * 700 + content + b"y" * 900)
    location = AudioLocation(str(tmp_path / "archive"), offset=700, size=len(content))
    np.testing.assert_array_equal(
        read_audio(location).samples, read_audio(AudioLocation(str(tmp_path / "a.wav"))).samples
    )
    with pytest.raises(UnreadableAudio, match="truncated"):
        read_audio(replace(location, offset=5_000))


def count_samples(location: AudioLocation) -> int:
    return sum(len(block) for block in read_blocks(location, 16_000, block_seconds=5.0))


def test_blocks_of_a_long_file_need_no_more_memory(tmp_path: Path):
    peaks = []
    for seconds in (60, 300):
        location = write(tmp_path / f"{seconds}.wav", np.zeros(seconds * 16_000, np.float32), 16_000)
        assert count_samples(location) == seconds * 16_000
        peaks.append(peak_of(lambda location=location: count_samples(location)))
    assert peaks[1] < 1.2 * peaks[0] + 20_000
