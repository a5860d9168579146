"""Noises: their class comes from their folders, further microphones are left out, and made ones are repeatable."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from corpora import encoded, put, rows_of

from manifests import open_corpus
from manifests.corpora.noise import noise_class
from manifests.synthesis.noises import make_noises


def classes(root: Path) -> dict[str, str | None]:
    return {Path(row.path).relative_to(root).as_posix(): row.genre for row in rows_of(open_corpus("noise", root))}


def test_musan_has_its_licence_and_speech_is_babble(tmp_path):
    for name in ("music/fma/music-fma-0000", "noise/free-sound/noise-0001", "speech/librivox/speech-0002"):
        put(tmp_path / f"{name}.wav", encoded("WAV"))
    rows = rows_of(open_corpus("noise", tmp_path))
    assert [(row.genre, row.subset, row.licence) for row in rows] == [
        ("music", "music", "CC-BY-4.0"),
        ("noise", "noise", "CC-BY-4.0"),
        ("babble", "speech", "CC-BY-4.0"),
    ]
    assert all(row.speaker is None and row.text is None for row in rows)


def test_of_the_microphones_of_demand_the_first_is_read(tmp_path):
    for number in (1, 2, 16):
        put(tmp_path / f"DKITCHEN/ch{number:02}.wav", encoded("WAV"))
    put(tmp_path / "OTHER/chat.wav", encoded("WAV"))
    rows = rows_of(open_corpus("noise", tmp_path))
    assert [(Path(row.path).name, row.book) for row in rows] == [("ch01.wav", "DKITCHEN"), ("chat.wav", "OTHER")]
    assert {row.licence for row in rows} == {"unknown"}


@pytest.mark.parametrize(
    ("folders", "expected"),
    [((), "noise"), (("a", "b"), "noise"), (("RIRS_NOISES", "simulated_rirs", "smallroom"), "rir"),
     (("noise", "babble"), "babble")],
)  # fmt: skip
def test_the_innermost_known_folder_tells_the_class(folders, expected):
    assert noise_class(folders) == expected


def test_made_noises_are_the_same_files_again_and_are_read_as_what_they_are(tmp_path):
    speech = [np.sin(np.arange(4000) / (3 + voice)).astype(np.float32) for voice in range(3)]
    made = [
        make_noises(tmp_path / name, count=1, seconds=0.5, sample_rate=16_000, seed=1, speech=speech)
        for name in ("one", "two")
    ]
    assert [path.read_bytes() for path in made[0]] == [path.read_bytes() for path in made[1]]
    assert sorted(set(classes(tmp_path / "one").values())) == ["babble", "noise", "rir"]
    by_name = {path.stem: soundfile.read(path)[0] for path in made[0]}
    brown, white = (np.abs(np.fft.rfft(by_name[f"{name}-0"])) ** 2 for name in ("brown", "white"))
    assert brown[50:500].sum() / brown[500:].sum() > 10 * white[50:500].sum() / white[500:].sum()
    room = by_name["room-0"]
    assert np.abs(room).argmax() == 0 and np.abs(room[-400:]).max() < 0.3
