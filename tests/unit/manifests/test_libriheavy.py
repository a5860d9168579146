"""LibriHeavy's lists give the recordings of LibriLight their texts."""

import gzip
import json

import pytest
from corpora import chapter_sidecar, put, put_chapter, rows_of, single_row

from manifests import open_corpus
from warehouse.errors import ManifestError

CHAPTER = "small/100/a book/chapter_01_64kb"


def cut(number, *, chapter=CHAPTER, start=0.0, duration=0.2, text="Some text, with marks."):
    """A line as published: the text is in `custom.texts`, and the path is that of the authors' disk."""
    supervision = {
        "id": f"{chapter}_{number}",
        "recording_id": chapter,
        "start": 0.0,
        "duration": duration,
        "channel": 0,
        "language": "English",
        "speaker": "100",
        "custom": {
            "texts": [f"{text} {number}", "SOME TEXT"],
            "pre_texts": ["x" * 1000] * 2,
            "begin_byte": 10 * number,
        },
    }
    recording = {
        "id": chapter,
        "sources": [{"type": "file", "channels": [0], "source": f"download/librilight/{chapter}.flac"}],
        "sampling_rate": 16000,
        "num_samples": 8000,
        "duration": 0.5,
        "channel_ids": [0],
    }
    return {
        "id": f"{chapter}_{number}",
        "start": start,
        "duration": duration,
        "channel": 0,
        "supervisions": [supervision],
        "recording": recording,
        "type": "MonoCut",
    }


def put_list(path, cuts):
    return put(path, gzip.compress("".join(json.dumps(item) + "\n" for item in cuts).encode()))


CUTS = [cut(0), cut(1, start=0.2), cut(2, start=0.4, duration=0.1)]


@pytest.mark.parametrize("place", ["libriheavy_cuts_small.jsonl.gz", "lists/libriheavy_cuts_small.jsonl.gz"])
@pytest.mark.parametrize("as_root", ["folder", "list"])
def test_a_chapter_has_its_cuts_as_spans_with_their_texts(tmp_path, place, as_root):
    put_chapter(tmp_path, CHAPTER, sidecar=chapter_sidecar())
    path = put_list(tmp_path / place, CUTS)
    row = single_row(open_corpus("libriheavy", tmp_path if as_root == "folder" else path))
    assert row.span_texts == [f"Some text, with marks. {number}" for number in range(3)]
    assert [(span.start, round(span.end, 3)) for span in row.spans] == [(0.0, 0.2), (0.2, 0.4), (0.4, 0.5)]
    assert (row.text, row.speaker, row.language, row.drop_reason) == (None, "libriheavy:100", "en", None)
    assert (row.subset, row.book, row.genre, row.snr) == ("small", "7", "Literature", 12.5)
    assert row.licence == "LicenseRef-PublicDomain"
    extra = json.loads(row.extra)
    assert [item["custom"]["begin_byte"] for item in extra["supervisions"]] == [0, 10, 20]
    assert "pre_texts" not in row.extra


def test_chapters_without_json_and_without_audio(tmp_path):
    put_chapter(tmp_path, CHAPTER)
    missing = cut(0, chapter="small/100/a book/chapter_02_64kb")
    put_list(tmp_path / "libriheavy_cuts_small.jsonl.gz", [*CUTS, missing])
    first, second = rows_of(open_corpus("libriheavy", tmp_path))
    assert (first.drop_reason, first.subset, first.book, len(first.spans)) == (None, "small", "a book", 3)
    assert second.drop_reason == "missing_file"


def test_a_missing_root_is_one_sentence(tmp_path):
    with pytest.raises(ManifestError, match="neither a list nor a folder"):
        next(open_corpus("libriheavy", tmp_path / "absent").find())
