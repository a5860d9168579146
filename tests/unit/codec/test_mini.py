from pathlib import Path

import numpy as np
import pytest
import torch

from valle.audio import AudioLocation, read_audio
from valle.codec import codec_revision, codec_spec, open_codec
from valle.codec.batches import batch_groups
from valle.codec_training.losses import SpectralFeatures, spectral_distance
from valle.data.training_audio import find_clips
from warehouse.errors import ConfigurationError

DEMO = Path(__file__).parents[3] / "manifests" / "demo" / "audio"


def test_a_clip_becomes_one_frame_per_started_hop(full_size_codec, ragged_clips):
    codes = full_size_codec.encode(ragged_clips)
    assert [array.shape for array in codes] == [(8, -(-len(clip) // 320)) for clip in ragged_clips]
    assert all(array.dtype == np.int16 and array.min() >= 0 and array.max() < 1024 for array in codes)


def test_a_batch_of_ragged_clips_gives_the_codes_of_each_clip_alone(full_size_codec, ragged_clips):
    together = full_size_codec.encode(ragged_clips)
    for clip, codes in zip(ragged_clips, together, strict=True):
        np.testing.assert_array_equal(full_size_codec.encode([clip])[0], codes)


def test_codes_do_not_depend_on_the_order_of_the_batch(full_size_codec, ragged_clips):
    forwards = full_size_codec.encode(ragged_clips)
    backwards = full_size_codec.encode(ragged_clips[::-1])[::-1]
    for one, other in zip(forwards, backwards, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_last_hop_counts_as_if_followed_by_silence(full_size_codec):
    clip = np.random.default_rng(0).normal(0, 0.1, 5_000).astype(np.float32)
    padded = np.concatenate([clip, np.zeros(120, np.float32)])
    np.testing.assert_array_equal(full_size_codec.encode([clip])[0], full_size_codec.encode([padded])[0])


@pytest.mark.parametrize("num_band_energies", [1, 2, 3, 8])
def test_any_number_of_codebooks_decodes_to_whole_hops(full_size_codec, ragged_clips, num_band_energies):
    codes = [array[:num_band_energies] for array in full_size_codec.encode(ragged_clips)]
    waveforms = full_size_codec.decode(codes)
    assert [len(waveform) for waveform in waveforms] == [320 * array.shape[1] for array in codes]
    for array, waveform in zip(codes, waveforms, strict=True):
        assert waveform.dtype == np.float32
        assert np.isfinite(waveform).all()
        assert np.abs(waveform).max() <= 1
        np.testing.assert_array_equal(full_size_codec.decode([array])[0], waveform)


def test_clips_of_different_numbers_of_codebooks_decode_together(full_size_codec, ragged_clips):
    codes = full_size_codec.encode(ragged_clips[:2])
    mixed = full_size_codec.decode([codes[0][:3], codes[1]])
    np.testing.assert_array_equal(mixed[0], full_size_codec.decode([codes[0][:3]])[0])
    np.testing.assert_array_equal(mixed[1], full_size_codec.decode([codes[1]])[0])


def test_more_codebooks_change_the_sound(full_size_codec):
    clip = np.random.default_rng(1).normal(0, 0.1, 9_600).astype(np.float32)
    codes = full_size_codec.encode([clip])[0]
    one, eight = full_size_codec.decode([codes[:1]])[0], full_size_codec.decode([codes])[0]
    assert np.abs(one - eight).max() > 0


def test_an_empty_clip_has_no_frames_and_no_sound(full_size_codec):
    [codes] = full_size_codec.encode([np.zeros(0, np.float32)])
    assert codes.shape == (8, 0)
    assert len(full_size_codec.decode([codes])[0]) == 0
    assert full_size_codec.encode([]) == []


def test_an_accelerator_batches_only_clips_of_equal_size():
    assert batch_groups([5, 7, 5], torch.device("cuda")) == [[0, 2], [1]]
    assert batch_groups([5, 7, 5], torch.device("cpu")) == [[0], [1], [2]]


def test_grouped_batches_give_nearly_the_same_sound_as_single_clips(full_size_codec, monkeypatch):
    clips = [np.random.default_rng(n).normal(0, 0.1, 9_600).astype(np.float32) for n in range(3)]
    codes = full_size_codec.encode(clips)
    alone = full_size_codec.decode(codes)
    monkeypatch.setattr("valle.codec.mini.codec.batch_groups", lambda sizes, device: [[0, 2], [1]])
    for one, other in zip(full_size_codec.encode(clips), codes, strict=True):
        assert (one == other).mean() > 0.99
    for one, other in zip(full_size_codec.decode(codes), alone, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_an_unknown_codec_is_refused_with_the_names_there_are():
    with pytest.raises(ConfigurationError, match=r"choose one of mini, mini_44khz, encodec_24khz"):
        open_codec("soundstream")
    with pytest.raises(ConfigurationError, match="soundstream"):
        codec_revision("soundstream")


@pytest.fixture(scope="module")
def codec():
    return open_codec("mini")


class TestEmbeddedWeights:
    def test_shapes_are_those_of_encodec_at_six_kilobits(self, codec):
        spec = codec.spec
        assert (spec.sample_rate, spec.hop_length, spec.num_codebooks, spec.codebook_size) == (24_000, 320, 8, 1024)
        assert (spec.frame_rate, spec.bits_per_second) == (75, 6_000)
        assert codec_spec("mini") == spec

    def test_the_revision_is_known_without_loading_and_is_the_one_of_the_opened_codec(self, codec):
        assert codec_revision("mini") == f"{codec.spec.name}@{codec.spec.revision}"

    def test_a_batch_gives_the_codes_of_each_clip_alone(self, codec, ragged_clips):
        for clip, codes in zip(ragged_clips, codec.encode(ragged_clips), strict=True):
            np.testing.assert_array_equal(codec.encode([clip])[0], codes)

    def test_speech_keeps_its_loudness_and_its_spectrum(self, codec):
        paths = sorted(DEMO.glob("*.ogg"))[::60]
        clips = [read_audio(AudioLocation(str(path)), 24_000).samples for path in paths]
        features = SpectralFeatures(24_000)
        for clip, output in zip(clips, codec.decode(codec.encode(clips)), strict=True):
            assert 0.5 < output.std() / clip.std() < 1.5
            speech, silence = torch.from_numpy(clip)[None], torch.zeros(1, len(clip))
            distance = spectral_distance(features(torch.from_numpy(output[: len(clip)])[None]), features(speech))
            assert distance < 0.35 * spectral_distance(features(silence), features(speech))

    def test_fewer_codebooks_are_further_from_the_speech(self, codec):
        clip = read_audio(AudioLocation(str(sorted(DEMO.glob("*.ogg"))[0])), 24_000).samples
        [codes] = codec.encode([clip])
        target = torch.from_numpy(clip)[None]
        features = SpectralFeatures(24_000)
        outputs = codec.decode([codes[:num_band_energies] for num_band_energies in (1, 4, 8)])
        distances = [
            spectral_distance(features(torch.from_numpy(output[: len(clip)])[None]), features(target))
            for output in outputs
        ]
        assert distances == sorted(distances, reverse=True)

    def test_silence_stays_quiet(self, codec):
        [output] = codec.decode(codec.encode([np.zeros(12_000, np.float32)]))
        assert np.abs(output[2_000:-2_000]).max() < 0.02


@pytest.mark.real
@pytest.mark.long
def test_the_shipped_codebooks_are_in_use():
    shared = Path(__file__).parents[4] / "shared/corpus/real"
    if not shared.is_dir():
        pytest.skip("the shared speech is not there")
    codec = open_codec("mini")
    clips = [read_audio(clip, codec.spec.sample_rate).samples for clip in find_clips(shared)[::5]]
    codes = np.concatenate(codec.encode(clips), 1)
    assert all(len(np.unique(level)) > 0.85 * codec.spec.codebook_size for level in codes)
