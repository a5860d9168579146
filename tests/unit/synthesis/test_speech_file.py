"""Speech on disk while it is synthesized."""

import av
import numpy as np
import pytest
import soundfile

from valle.synthesis.options import SamplingOptions
from valle.synthesis.speech_file import SUFFIXES, SpeechFile
from valle.synthesis.speech_tags import speech_tags
from warehouse.errors import ConfigurationError

RATE = 24_000
SPEECH = (np.sin(np.arange(5 * RATE) / 30) * 0.4).astype(np.float32)
CODES = np.arange(8 * 375, dtype=np.int16).reshape(8, 375)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_written_in_spans_equals_one_written_at_once(tmp_path, suffix):
    path, codes = tmp_path / f"speech{suffix}", tmp_path / "codes.npy"
    with SpeechFile(path, RATE, codes=codes) as file:
        for begin in range(5):
            file.append(SPEECH[begin * RATE : (begin + 1) * RATE], CODES[:, begin * 75 : (begin + 1) * 75])
            assert file.seconds == begin + 1
    at_once = tmp_path / "once.wav"
    soundfile.write(at_once, SPEECH, RATE, subtype="PCM_16")
    samples, rate = soundfile.read(path)
    assert rate == RATE
    expected = soundfile.read(at_once)[0]
    if suffix == ".ogg":  # lossy
        assert len(samples) == len(expected)
        assert np.corrcoef(samples, expected)[0, 1] > 0.9
    else:
        np.testing.assert_array_equal(samples, expected)
    np.testing.assert_array_equal(np.load(codes), CODES)


def test_a_wav_and_its_codes_are_whole_after_every_span(tmp_path):
    path, codes = tmp_path / "speech.wav", tmp_path / "codes.npy"
    with SpeechFile(path, RATE, codes=codes) as file:
        for number in (1, 2, 3):
            file.append(SPEECH[:RATE], CODES[:, :75])
            assert len(soundfile.read(path)[0]) == number * RATE
            assert np.load(codes).shape == (8, number * 75)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_finished_file_has_its_tags_and_its_samples(tmp_path, suffix):
    path = tmp_path / f"speech{suffix}"
    tags = speech_tags("english-4500", CODES, SamplingOptions(seed=7))
    with SpeechFile(path, RATE, tags=tags) as file:
        file.append(SPEECH[:RATE], CODES[:, :75])
    with soundfile.SoundFile(path) as read:
        assert (read.comment, read.artist, len(read.read())) == (tags["comment"], tags["artist"], RATE)
    assert "checkpoint=english-4500" in tags["comment"] and '{"seed":7}' in tags["comment"]
    with av.open(str(path)) as opened:
        shown = {**opened.metadata, **opened.streams[0].metadata}
    assert tags["comment"] in {value for name, value in shown.items() if name.lower() == "comment"}


@pytest.mark.parametrize("suffix", [".flac", ".ogg"])
def test_an_encoded_file_grows_as_a_wav_beside_it(tmp_path, suffix):
    path, partial = tmp_path / f"speech{suffix}", tmp_path / f"speech{suffix}.partial.wav"
    with SpeechFile(path, RATE) as file:
        for number in (1, 2, 3):
            file.append(SPEECH[:RATE], CODES[:, :75])
            assert len(soundfile.read(partial)[0]) == number * RATE
        assert not path.exists()
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_speech_that_cannot_be_encoded_stays_as_a_wav(tmp_path):
    path = tmp_path / "speech.flac"
    file = SpeechFile(path, RATE)
    file.append(SPEECH, CODES)
    path.mkdir()
    with pytest.raises(ConfigurationError, match=r"5\.0 s of speech are in .*speech\.flac\.partial\.wav"):
        file.close()
    assert len(soundfile.read(tmp_path / "speech.flac.partial.wav")[0]) == len(SPEECH)


def test_nothing_is_made_or_replaced_without_a_sample(tmp_path):
    path = tmp_path / "speech.wav"
    path.write_bytes(b"older")
    with SpeechFile(path, RATE) as file:
        file.append(SPEECH[:0], CODES[:, :0])
    assert path.read_bytes() == b"older"


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with (
        SpeechFile(tmp_path / "file" / "speech.wav", RATE) as file,
        pytest.raises(ConfigurationError, match=r"Cannot write .*speech\.wav \(.*; nothing was written\)"),
    ):
        file.append(SPEECH, CODES)
