"""LibriTTS, LibriSpeech and cut LibriLight."""

import json
import os

import pytest
from corpora import encoded, put, rows_of, single_row

from manifests import open_corpus

SPEAKERS = """; some comment
;ID  |SEX| SUBSET           |MINUTES| NAME
84   | F | dev-clean        | 8.02  | Christie Nowak
"""


def put_libritts(root, identity="84_121123_000007_000001", *, text="He knew it.", original="He knew it, sir."):
    stem = root / f"dev-clean/84/121123/{identity}"
    put(stem.with_suffix(".wav"), encoded("WAV", rate=24000))
    if text is not None:
        put(stem.with_name(f"{identity}.normalized.txt"), text)
    put(stem.with_name(f"{identity}.original.txt"), original)


def put_librispeech(root, transcript="84-121123-0000 GO DO YOU HEAR\n84-121123-0001 BUT IN LESS\n"):
    for number in range(2):
        put(root / f"dev-clean/84/121123/84-121123-{number:04d}.flac", encoded(pitch=200 + number))
    if transcript is not None:
        put(root / "dev-clean/84/121123/84-121123.trans.txt", transcript)


def test_libritts_gives_normalised_text_speaker_and_chapter(tmp_path):
    put_libritts(tmp_path)
    put(tmp_path / "SPEAKERS.txt", SPEAKERS)
    row = single_row(open_corpus("libritts", tmp_path))
    assert (row.text, row.speaker, row.book) == ("He knew it.", "libritts:84", "84-121123")
    assert (row.subset, row.licence, row.language, row.sample_rate) == ("dev-clean", "CC-BY-4.0", "en", 24000)
    extra = json.loads(row.extra)
    assert extra == {"original_text": "He knew it, sir.", "gender": "F", "speaker_name": "Christie Nowak"}


def test_libritts_without_a_speaker_table_or_text_is_usable(tmp_path):
    put_libritts(tmp_path, text=None)
    row = single_row(open_corpus("libritts", tmp_path))
    assert (row.drop_reason, row.text, row.speaker) == (None, None, "libritts:84")
    assert json.loads(row.extra)["faults"] == ["no transcript"]


def test_a_changed_speaker_table_is_read_again(tmp_path):
    put_libritts(tmp_path)
    table = put(tmp_path / "speakers.tsv", "READER\tGENDER\tSUBSET\tNAME\n84\tF\tdev-clean\tOne\n")
    corpus = open_corpus("libritts", tmp_path)
    assert json.loads(single_row(corpus).extra)["speaker_name"] == "One"
    put(table, "READER\tGENDER\tSUBSET\tNAME\n84\tM\tdev-clean\tTwo\n")
    os.utime(table, ns=(1, 1))
    assert json.loads(single_row(corpus).extra)["speaker_name"] == "Two"


def test_librispeech_finds_each_utterance_in_the_chapters_transcript(tmp_path):
    put_librispeech(tmp_path)
    put(tmp_path / "SPEAKERS.TXT", SPEAKERS)
    rows = rows_of(open_corpus("librispeech", tmp_path))
    assert [row.text for row in rows] == ["go do you hear", "but in less"]
    assert {row.speaker for row in rows} == {"librispeech:84"}
    assert json.loads(rows[0].extra)["gender"] == "F"


@pytest.mark.parametrize(
    ("transcript", "texts"),
    [
        (None, [None, None]),
        ("84-121123-0001 ONLY THE SECOND", [None, "only the second"]),
        ("84-121123-0000\n84-121123-00010 LONGER ID", [None, None]),
        (b"84-121123-0000 \xff", [None, None]),
    ],
)
def test_a_transcript_with_gaps_leaves_usable_rows(tmp_path, transcript, texts):
    put_librispeech(tmp_path, transcript)
    rows = rows_of(open_corpus("librispeech", tmp_path))
    assert [row.text for row in rows] == texts
    assert all(row.drop_reason is None for row in rows)


def test_a_changed_transcript_changes_the_fingerprint(tmp_path):
    put_librispeech(tmp_path)
    before = rows_of(open_corpus("librispeech", tmp_path))
    put_librispeech(tmp_path, "84-121123-0000 SOMETHING ELSE\n")
    after = rows_of(open_corpus("librispeech", tmp_path))
    assert [row.fingerprint for row in before] != [row.fingerprint for row in after]
    assert [row.recording_id for row in before] == [row.recording_id for row in after]


def test_bad_audio_is_a_dropped_row(tmp_path):
    put(tmp_path / "dev-clean/84/121123/84-121123-0000.flac", b"")
    assert single_row(open_corpus("librispeech", tmp_path)).drop_reason == "empty"
    assert single_row(open_corpus("libritts", tmp_path)).drop_reason == "empty"


def test_a_piece_of_cut_librilight_knows_speaker_book_and_chapter(tmp_path):
    put(tmp_path / "100/7/chapter.one_64kb_0003.flac", encoded())
    row = single_row(open_corpus("librilight-cut", tmp_path))
    assert (row.speaker, row.book, row.subset, row.text) == ("librilight-cut:100", "7", "", None)
    assert json.loads(row.extra) == {"chapter": "chapter.one_64kb", "piece": 3}
    assert row.licence == "LicenseRef-PublicDomain"


@pytest.mark.parametrize("place", ["loose.flac", "100/loose_0001.flac", "100/7/no number.flac"])
def test_a_piece_in_another_place_is_usable_and_says_so(tmp_path, place):
    put(tmp_path / place, encoded())
    row = single_row(open_corpus("librilight-cut", tmp_path))
    assert row.drop_reason is None
    assert json.loads(row.extra)["faults"]
