"""One notion of audio files: any case, subfolders, regular files only."""

import os

from corpora import encoded, put

from manifests.audio.audio_files import find_audio_files
from manifests.audio.suffixes import is_audio_name


def test_suffixes_are_recognised_in_any_case():
    assert all(map(is_audio_name, ("a.wav", "b.WAV", "dir/c.Flac", "d.oPuS", "e.two.mp3")))
    assert not any(map(is_audio_name, ("wav", "a.wav.txt", "b.json", "c", ".wav")))


def test_only_regular_files_are_found_in_every_subfolder(tmp_path):
    for name in ("u1.wav", "u2.WAV", "sub/deep/u3.Flac", "note.txt", ".hidden.wav"):
        put(tmp_path / name, encoded("WAV"))
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "gone.wav").symlink_to(tmp_path / "nowhere")
    (tmp_path / "link.wav").symlink_to(tmp_path / "u1.wav")
    os.mkfifo(tmp_path / "pipe.wav")
    found = [path.relative_to(tmp_path).as_posix() for path in find_audio_files(tmp_path)]
    assert found == ["link.wav", "sub/deep/u3.Flac", "u1.wav", "u2.WAV"]
