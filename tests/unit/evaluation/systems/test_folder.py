"""A folder of speech that another program wrote."""

import os

import pytest
import soundfile

from tests.unit.evaluation.systems.conftest import RATE, speak, tone
from valle.audio import AudioLocation, read_audio, write_audio
from valle.evaluation.systems.folder import FolderSystem
from warehouse.errors import ConfigurationError


def write_as(path, seconds, format_name):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(seconds).samples, RATE, format=format_name)


def test_a_folder_gives_its_files_by_utterance_and_trial(make_item, tmp_path):
    folder = tmp_path / "theirs"
    for name, seconds in (("a.wav", 0.5), ("a-1.wav", 0.75), ("b.flac", 1.0), ("stranger.wav", 2.0)):
        write_audio(folder / name, tone(seconds))
    (folder / "c.wav").write_bytes(b"not audio")
    items = [make_item("a"), make_item("a", trial=1), make_item("b"), make_item("c"), make_item("d")]
    spoken = speak(FolderSystem(folder, "theirs"), items, tmp_path / "speech")
    durations = [read_audio(AudioLocation(str(speech.path))).duration for speech in spoken if speech.failure is None]
    assert durations == [0.5, 0.75, 1.0]
    assert spoken[4].failure == "there is no file"
    assert "undecodable" in spoken[3].failure


def test_suffixes_of_any_case_and_files_in_subfolders_are_found(make_item, tmp_path):
    folder = tmp_path / "theirs"
    names = {"u1.wav": "WAV", "u2.WAV": "WAV", "u3.Flac": "FLAC", "sub/deeper/u4.wav": "WAV", "u5.Ogg": "OGG"}
    for name, format_name in names.items():
        write_as(folder / name, 0.5, format_name)
    items = [make_item(f"u{number}") for number in range(1, 7)]
    spoken = speak(FolderSystem(folder, "theirs"), items, tmp_path / "speech")
    assert [speech.failure for speech in spoken] == [None] * 5 + ["there is no file"]


@pytest.mark.parametrize("second", ["a.flac", "sub/a.wav", "a-0.wav"])
def test_two_files_of_one_item_are_named(make_item, tmp_path, second):
    folder = tmp_path / "theirs"
    write_as(folder / "a.wav", 0.5, "WAV")
    write_as(folder / second, 0.5, "FLAC" if second.endswith("flac") else "WAV")
    with pytest.raises(ConfigurationError, match=f"several files for 1 items, such as .*{second}.*keep one of them"):
        speak(FolderSystem(folder, "theirs"), [make_item("a")], tmp_path / "speech")


def test_folders_dangling_links_loops_and_pipes_called_wav_are_missing_speech(make_item, tmp_path):
    folder = tmp_path / "theirs"
    write_audio(folder / "a.wav", tone(0.5))
    (folder / "b.wav").mkdir()
    (folder / "c.wav").symlink_to(folder / "nothing")
    os.mkfifo(folder / "d.wav")
    system = FolderSystem(folder, "theirs")
    assert system.identity == system.identity
    spoken = speak(system, [make_item(name) for name in "abcd"], tmp_path / "speech")
    assert [speech.failure for speech in spoken] == [None] + ["there is no file"] * 3


def test_speech_over_a_minute_is_scored_and_what_is_too_long_is_a_failure(make_item, tmp_path):
    folder = tmp_path / "theirs"
    write_audio(folder / "a.wav", tone(72.0))
    write_audio(folder / "b.wav", tone(180.5))
    spoken = speak(FolderSystem(folder, "theirs"), [make_item("a"), make_item("b")], tmp_path / "speech")
    assert [speech.failure for speech in spoken] == [None, "longer than 180 s"]


def test_the_identity_of_a_folder_follows_the_whole_content_of_its_files(tmp_path):
    folder = tmp_path / "theirs"
    write_audio(folder / "a.wav", tone(90.0))
    system = FolderSystem(folder, "theirs")
    first = system.identity
    assert system.identity == first
    content = bytearray((folder / "a.wav").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "a.wav").write_bytes(content)
    assert system.identity != first


def test_a_folder_without_any_of_the_utterances_is_refused(make_item, tmp_path):
    write_audio(tmp_path / "theirs" / "other.wav", tone(0.5))
    with pytest.raises(ConfigurationError, match=r"should be called like a\.wav"):
        speak(FolderSystem(tmp_path / "theirs", "theirs"), [make_item("a")], tmp_path / "speech")
    with pytest.raises(ConfigurationError, match="There is no folder"):
        _ = FolderSystem(tmp_path / "nowhere", "theirs").identity
