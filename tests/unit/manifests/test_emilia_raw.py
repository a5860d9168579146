"""Emilia's older layout: lists of JSON lines beside folders of MP3 files."""

import json

import pytest
from corpora import encoded, put, put_tar, rows_of, single_row, utterance

from manifests import CorpusOptions, open_corpus
from warehouse.lake.arrow import to_table
from warehouse.rows import RecordingRow

IDS = [f"EN_B00000_S{speaker:05d}_W{number:06d}" for speaker in (0, 10) for number in range(3)]


def line_of(identity, **changes):
    session = identity.rsplit("_", 1)[0]
    values = {"id": identity, "wav": f"EN_B00000/{session}/mp3/{identity}.mp3", "text": f" Text of {identity}."}
    return values | {"duration": 0.5, "speaker": session, "language": "en", "dnsmos": 3.2} | changes


def put_list(root, ids=IDS, place="raw/EN/EN_B00000.jsonl", **changes):
    for identity in ids:
        put(
            (root / place).parent / line_of(identity)["wav"],
            encoded("MP3", rate=24000, pitch=100.0 + ids.index(identity)),
        )
    lines = [json.dumps(line_of(identity, **changes)) for identity in ids]
    return put(root / place, "\n".join(lines) + "\n")


def test_a_line_is_a_recording_in_the_file_it_names(tmp_path):
    put_list(tmp_path)
    rows = rows_of(open_corpus("emilia-raw", tmp_path))
    assert [row.path.rsplit("/", 1)[1] for row in rows] == [f"{identity}.mp3" for identity in IDS]
    first = rows[0]
    assert (first.speaker, first.book) == ("emilia-raw:EN_B00000_S00000", "EN_B00000_S00000")
    assert (first.text, first.language, first.dnsmos) == (f"Text of {IDS[0]}.", "en", 3.2)
    assert (first.subset, first.licence, first.drop_reason) == ("EN", "CC-BY-NC-4.0", None)
    assert (first.sample_rate, first.num_samples, first.member) == (24000, 12000, None)
    assert json.loads(first.extra)["duration"] == 0.5
    assert len({row.recording_id for row in rows}) == len(IDS)
    to_table(RecordingRow, rows)


def test_a_line_says_what_the_json_of_a_tar_says(tmp_path):
    put_list(tmp_path / "raw-layout", IDS[:1])
    put_tar(tmp_path / "tars/EN-B000000.tar", utterance(IDS[0]))
    old = single_row(open_corpus("emilia-raw", tmp_path / "raw-layout", "emilia"))
    new = single_row(open_corpus("emilia", tmp_path / "tars"))
    for column in ("speaker", "language", "text", "book", "dnsmos", "subset", "licence", "num_samples"):
        assert getattr(old, column) == getattr(new, column), column


def test_small_ranges_give_the_same_rows_as_one(tmp_path):
    put_list(tmp_path)
    whole = open_corpus("emilia-raw", tmp_path)
    cut = open_corpus("emilia-raw", tmp_path, options=CorpusOptions(shard_megabytes=0.007))
    assert len(list(whole.find())) == 1
    assert len(list(cut.find())) == 3
    assert [row.recording_id for row in rows_of(cut)] == [row.recording_id for row in rows_of(whole)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "missing_audio"),
        ("[]", "missing_audio"),
        ('{"id": "x", "wav": 7}', "missing_audio"),
        ('{"id": "x", "wav": "EN_B00000/gone.mp3"}', "missing_file"),
    ],
)
def test_a_bad_line_is_a_dropped_row_beside_the_good_ones(tmp_path, line, reason):
    path = put_list(tmp_path, IDS[:2])
    good = path.read_text().splitlines()
    path.write_text("\n".join([good[0], "", line, good[1]]))
    assert [row.drop_reason for row in rows_of(open_corpus("emilia-raw", tmp_path))] == [None, reason, None]


def test_a_file_listed_twice_is_kept_once(tmp_path):
    path = put_list(tmp_path, IDS[:1])
    path.write_text(path.read_text() * 2)
    rows = rows_of(open_corpus("emilia-raw", tmp_path))
    assert [row.drop_reason for row in rows] == [None, "duplicate_member"]
    assert len({row.recording_id for row in rows}) == 2


def test_bad_audio_is_a_dropped_row(tmp_path):
    put_list(tmp_path, IDS[:2])
    put(tmp_path / "raw/EN" / line_of(IDS[0])["wav"], b"noise" * 99)
    assert [row.drop_reason for row in rows_of(open_corpus("emilia-raw", tmp_path))] == ["undecodable", None]


def test_an_empty_list_and_one_that_is_gone_are_one_dropped_row_each(tmp_path):
    put(tmp_path / "a/EN_B00000.jsonl", "")
    assert single_row(open_corpus("emilia-raw", tmp_path)).drop_reason == "no_recordings"
    (tmp_path / "a/EN_B00000.jsonl").unlink()
    (tmp_path / "a/EN_B00000.jsonl").symlink_to(tmp_path / "nowhere")
    assert single_row(open_corpus("emilia-raw", tmp_path)).drop_reason == "unreadable"
