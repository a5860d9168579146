"""Channels that differ are recordings of their own; of channels that are alike the best one is read."""

import json

import numpy as np
import pytest
from corpora import put, rows_of, wav

from manifests import CorpusOptions, open_corpus
from manifests.audio.channels import ChannelComparison

RATE = 16_000


def speech_like(seed, seconds=6.0, *, pauses=True):
    """Noise bursts of random length and pitch with pauses: as independent as two speakers."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    envelope = np.repeat(rng.random(int(seconds * 4)) > (0.4 if pauses else -1), RATE // 4)[: len(time)]
    pitch = 100 + 30 * seed + 20 * np.sin(2 * np.pi * rng.random() * time)
    voice = np.sin(2 * np.pi * np.cumsum(pitch) / RATE) + 0.5 * rng.normal(0, 1, len(time))
    return (0.1 * envelope * voice).astype(np.float32)


def channels_read(tmp_path, samples, mode="auto"):
    put(tmp_path / "a.wav", wav(samples, RATE))
    put(tmp_path / "a.txt", "Hello there.")
    return rows_of(open_corpus("folder", tmp_path, options=CorpusOptions(channels=mode)))


def stereo(left, right):
    return np.stack([left, right], axis=1)


A, B = speech_like(1), speech_like(2)
SILENCE = np.zeros_like(A)


@pytest.mark.parametrize(
    ("samples", "channels"),
    [
        (A[:, None], [None]),
        (stereo(A, A), [0]),
        (stereo(A, -A), [0]),
        (stereo(0.2 * A, A), [1]),
        (stereo(A, np.roll(A, 40)), [0]),
        (stereo(SILENCE, A), [1]),
        (stereo(A, 0.003 * B), [0]),
        (stereo(SILENCE, SILENCE), [0]),
        (stereo(A, B), [0, 1]),
        (stereo(A + 0.1 * B, B + 0.1 * A), [0, 1]),
        (np.stack([A] * 6, axis=1), [0]),
        (np.stack([A, -A, B, SILENCE], axis=1), [0, 2]),
    ],
    ids=[
        "mono", "equal", "opposite phase", "another gain", "a delay", "right only", "a trace of another", "silent",
        "two callers", "two callers with echo", "six equal", "two of one and one of another",
    ],
)  # fmt: skip
def test_the_channels_to_read(tmp_path, samples, channels):
    rows = channels_read(tmp_path, samples)
    assert [row.channel for row in rows] == channels
    assert {row.drop_reason for row in rows} == {None}
    assert {row.num_channels for row in rows} == {samples.shape[1]}
    assert len({row.recording_id for row in rows}) == len(channels)


def test_of_alike_channels_the_one_with_less_noise_is_read(tmp_path):
    noise = np.random.default_rng(5).normal(0, 0.01, len(A)).astype(np.float32)
    assert [row.channel for row in channels_read(tmp_path, stereo(A + noise, A))] == [1]
    assert [row.channel for row in channels_read(tmp_path, stereo(A, A + noise))] == [0]


def test_a_text_of_several_channels_belongs_to_none_of_them(tmp_path):
    rows = channels_read(tmp_path, stereo(A, B))
    assert [(row.text, json.loads(row.extra)["text"]) for row in rows] == [(None, "Hello there.")] * 2
    assert channels_read(tmp_path, stereo(A, A))[0].text == "Hello there."


@pytest.mark.parametrize(("mode", "channels"), [("mix", [None]), ("first", [0]), ("split", [0, 1, 2])])
def test_the_other_modes_do_as_they_are_told(tmp_path, mode, channels):
    rows = channels_read(tmp_path, np.stack([A, B, SILENCE], axis=1), mode)
    assert [row.channel for row in rows] == channels


def test_one_recording_keeps_its_id_in_every_mode(tmp_path):
    ids = {channels_read(tmp_path, stereo(A, A), mode)[0].recording_id for mode in ("auto", "mix", "first")}
    assert len(ids) == 1


def test_comparing_needs_no_more_memory_for_longer_audio():
    comparison = ChannelComparison(2, RATE)
    sizes = set()
    for seed in range(20):
        comparison.add(stereo(speech_like(seed), speech_like(seed + 50)))
        sizes.add(sum(value.nbytes for value in vars(comparison).values() if isinstance(value, np.ndarray)))
    assert max(sizes) < min(sizes) + 1024 * 8
    assert comparison.choose() == (0, 1)


def test_blocks_of_any_size_give_the_same_answer():
    samples = stereo(A, B)
    for size in (100, 1_024, 5_000):
        comparison = ChannelComparison(2, RATE)
        for start in range(0, len(samples), size):
            comparison.add(samples[start : start + size])
        assert comparison.choose() == (0, 1)
