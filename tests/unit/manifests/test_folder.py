"""A folder of audio in any format."""

import json
from pathlib import Path

import numpy as np
import pytest
from corpora import encoded, put, rows_of, single_row, tone, wav

from manifests import CorpusOptions, open_corpus


@pytest.mark.parametrize(
    ("name", "container", "rate"),
    [
        ("a.wav", "WAV", 22050),
        ("a.FLAC", "FLAC", 44100),
        ("a.ogg", "OGG", 24000),
        ("a.opus", "OGG", 16000),
        ("a.mp3", "MP3", 24000),
    ],
)
def test_every_format_is_read(tmp_path, name, container, rate):
    put(tmp_path / name, encoded(container, rate=rate))
    put(tmp_path / "a.txt", "\ufeffSome text.\n")
    row = single_row(open_corpus("folder", tmp_path))
    assert (row.sample_rate, row.num_samples, row.text) == (rate, rate // 2, "Some text.")
    assert (row.drop_reason, row.speaker, row.licence, row.language) == (None, None, "unknown", None)


def test_audio_that_libsndfile_does_not_decode_is_a_row_that_tells_what_to_do(tmp_path):
    put(tmp_path / "a.M4A", b"\0\0\0\x20ftypM4A " + bytes(100))
    put(tmp_path / "b.wma", encoded("WAV"))
    rows = {Path(row.path).name: row for row in rows_of(open_corpus("folder", tmp_path))}
    assert rows["a.M4A"].drop_reason == "undecodable"
    assert "libsndfile does not decode .m4a; convert it to FLAC" in rows["a.M4A"].drop_detail
    assert rows["b.wma"].drop_reason is None, "the bytes decide, not the name"


def test_a_file_with_the_suffix_of_another_format_is_read_by_its_content(tmp_path):
    put(tmp_path / "a.wav", encoded("FLAC"))
    assert single_row(open_corpus("folder", tmp_path)).num_samples == 8000


def test_the_folder_names_the_speaker_when_asked(tmp_path):
    put(tmp_path / "train/anna/1.wav", encoded("WAV"))
    put(tmp_path / "root.wav", encoded("WAV"))
    options = CorpusOptions(speaker_from_folder=True, language="en", licence="CC0-1.0", origin="synthetic")
    rows = rows_of(open_corpus("folder", tmp_path, "mine", options=options))
    assert [(row.speaker, row.subset) for row in rows] == [(None, ""), ("mine:anna", "train")]
    assert {(row.language, row.licence, row.origin) for row in rows} == {("en", "CC0-1.0", "synthetic")}


@pytest.mark.parametrize("text", [b"caf\xe9", b"\xff\xfeh\x00"])
def test_text_that_is_not_utf8_leaves_a_usable_row_without_text(tmp_path, text):
    put(tmp_path / "a.wav", encoded("WAV"))
    put(tmp_path / "a.txt", text)
    row = single_row(open_corpus("folder", tmp_path))
    assert (row.text, row.drop_reason) == (None, None)
    assert "not UTF-8" in json.loads(row.extra)["faults"][0]


def test_an_empty_text_is_no_text(tmp_path):
    put(tmp_path / "a.wav", encoded("WAV"))
    put(tmp_path / "a.txt", " \n")
    row = single_row(open_corpus("folder", tmp_path))
    assert (row.text, json.loads(row.extra)) == (None, {})


def test_audio_with_equal_ends_and_another_middle_is_not_a_duplicate(tmp_path):
    quiet = np.zeros(48_000, np.float32)
    for name, pitch in (("a", 200), ("b", 300), ("c", 200)):
        put(tmp_path / f"{name}.wav", wav(np.concatenate([quiet, tone(2, pitch=pitch)[:, 0], quiet])))
    first, second, third = (row.content_hash for row in rows_of(open_corpus("folder", tmp_path)))
    assert first == third != second


def test_audio_with_equal_ends_and_another_size_is_not_a_duplicate(tmp_path):
    put(tmp_path / "a.wav", encoded("WAV", seconds=1))
    put(tmp_path / "b.wav", encoded("WAV", seconds=1))
    put(tmp_path / "c.wav", encoded("WAV", seconds=2))
    first, second, third = (row.content_hash for row in rows_of(open_corpus("folder", tmp_path)))
    assert first == second != third
