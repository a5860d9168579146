"""LibriLight as published, with the sidecars that it really has and the ones it should not have."""

import json
import math
import os

import pytest
from corpora import chapter_sidecar, encoded, put, put_chapter, rows_of, single_row

from manifests import open_corpus
from manifests.corpus import assign_shards
from warehouse.rows import Span


def test_the_sidecar_becomes_columns_and_every_other_key_is_kept(tmp_path):
    put_chapter(tmp_path, sidecar=chapter_sidecar(speaker="100", anything={"else": [1, 2]}))
    row = single_row(open_corpus("librilight", tmp_path))
    assert (row.speaker, row.book, row.genre, row.snr, row.language) == (
        "librilight:100",
        "7",
        "Literature",
        12.5,
        "en",
    )
    assert (row.subset, row.text, row.dnsmos, row.drop_reason) == ("small", None, None, None)
    assert row.spans == [Span(start=0.0, end=0.24), Span(start=0.32, end=0.48)]
    assert (row.sample_rate, row.num_channels, row.num_samples, row.duration) == (16000, 1, 8000, 0.5)
    assert (row.member, row.offset, row.origin, row.licence) == (None, 0, "recorded", "LicenseRef-PublicDomain")
    extra = json.loads(row.extra)
    assert extra["anything"] == {"else": [1, 2]}
    assert extra["file_length_sec"] == 0.5
    assert extra["book_meta"]["title"] == "A book"
    assert "faults" not in extra


def test_the_json_is_found_when_a_folder_name_contains_the_suffix(tmp_path):
    put_chapter(tmp_path / "my.flac files", sidecar=chapter_sidecar())
    assert single_row(open_corpus("librilight", tmp_path / "my.flac files")).speaker == "librilight:100"


def test_the_root_may_be_one_part(tmp_path):
    put_chapter(tmp_path, sidecar=chapter_sidecar())
    row = single_row(open_corpus("librilight", tmp_path / "small", "mine"))
    assert (row.subset, row.speaker, row.book) == ("", "mine:100", "7")


def test_nan_snr_is_null_and_extra_stays_strict_json(tmp_path):
    put_chapter(tmp_path, sidecar=chapter_sidecar(snr=math.nan, other=math.inf))
    row = single_row(open_corpus("librilight", tmp_path))
    assert row.snr is None
    assert "NaN" not in row.extra and "Infinity" not in row.extra
    assert json.loads(row.extra)["other"] is None


@pytest.mark.parametrize(
    ("sidecar", "fault"),
    [
        (None, "no sidecar"),
        ("{broken", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        ("[1, 2]", "not an object"),
        ("[" * 100_000, "not JSON"),
        ({}, "no speaker"),
        (chapter_sidecar(book_meta=None), "no book_meta"),
    ],
)
def test_without_a_good_sidecar_the_recording_is_usable_and_says_what_is_missing(tmp_path, sidecar, fault):
    put_chapter(tmp_path, sidecar=sidecar)
    row = single_row(open_corpus("librilight", tmp_path))
    assert (row.drop_reason, row.speaker, row.snr) == (
        None,
        "librilight:100",
        12.5 if fault == "no book_meta" else None,
    )
    assert row.book == "a book"
    assert any(fault in line for line in json.loads(row.extra)["faults"])


@pytest.mark.parametrize("activity", ["soon", [[0.1]], [["a", "b"]], [[0.1, math.nan]], [3], None])
def test_voice_activity_of_another_shape_is_no_spans_and_is_kept_as_it_was(tmp_path, activity):
    put_chapter(tmp_path, sidecar=chapter_sidecar(voice_activity=activity))
    row = single_row(open_corpus("librilight", tmp_path))
    assert row.spans is None
    assert "voice_activity" in json.loads(row.extra)


def test_spans_are_cut_off_at_the_end_of_the_audio(tmp_path):
    put_chapter(tmp_path, sidecar=chapter_sidecar(voice_activity=[[-1, 0.2], [0.4, 9], [7, 8], [0.3, 0.3]]))
    assert single_row(open_corpus("librilight", tmp_path)).spans == [Span(start=0.0, end=0.2), Span(start=0.4, end=0.5)]


def test_text_that_no_table_could_hold_is_repaired(tmp_path):
    put_chapter(tmp_path, sidecar=json.dumps(chapter_sidecar(speaker="a\ud800b")))
    row = single_row(open_corpus("librilight", tmp_path))
    assert row.speaker == "librilight:a?b"


def test_numbers_as_labels_become_text(tmp_path):
    put_chapter(tmp_path, sidecar=chapter_sidecar(speaker=100, book_meta={"id": 7}))
    row = single_row(open_corpus("librilight", tmp_path))
    assert (row.speaker, row.book) == ("librilight:100", "7")


@pytest.mark.parametrize(
    ("audio", "reason"),
    [
        (b"", "empty"),
        (b"this is no audio" * 100, "undecodable"),
        (encoded(seconds=0.0), "empty"),
        (b"fLaC", "undecodable"),
    ],
)
def test_bad_audio_is_a_dropped_row_beside_the_good_ones(tmp_path, audio, reason):
    put_chapter(tmp_path, "small/1/b/bad", sidecar=chapter_sidecar(), audio=audio)
    put_chapter(tmp_path, "small/1/b/good", sidecar=chapter_sidecar())
    bad, good = rows_of(open_corpus("librilight", tmp_path))
    assert (bad.drop_reason, good.drop_reason) == (reason, None)
    assert bad.drop_detail and bad.speaker == "librilight:100"
    assert (bad.num_samples, bad.duration) == (None, None)


def test_a_file_that_vanishes_after_the_listing_is_a_dropped_row(tmp_path):
    put_chapter(tmp_path, sidecar=chapter_sidecar())
    corpus = open_corpus("librilight", tmp_path)
    (source,) = assign_shards(corpus.find(), corpus.name, megabytes=1)
    next(tmp_path.rglob("*.flac")).unlink()
    (row,) = corpus.read(source)
    assert row.drop_reason == "missing_file"


def test_a_file_name_that_is_not_utf8_is_a_dropped_row(tmp_path):
    put(tmp_path / "small/1/b" / os.fsdecode(b"\xff.flac"), encoded())
    row = single_row(open_corpus("librilight", tmp_path))
    assert (row.drop_reason, row.path.endswith("\\xff.flac")) == ("missing_file", True)
    row.path.encode()


def test_wide_audio_is_usable(tmp_path):
    put_chapter(tmp_path, sidecar=chapter_sidecar(), audio=encoded(channels=8))
    row = single_row(open_corpus("librilight", tmp_path))
    assert (row.num_channels, row.drop_reason, row.num_samples) == (8, None, 8000)


def test_a_book_that_says_its_language_is_believed(tmp_path):
    put(tmp_path / "x.flac", encoded())
    put(tmp_path / "x.json", json.dumps(chapter_sidecar(book_meta={"id": "7", "language": "German"})))
    assert single_row(open_corpus("librilight", tmp_path)).language == "de"
