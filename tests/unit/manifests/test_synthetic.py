"""The reader of synthetic speech: rows that say who was to say what, also while the corpus still grows."""

import json
from pathlib import Path

import pytest
from corpora import rows_of
from sine_speaker import SineSpeaker, small

from manifests import open_corpus
from manifests.corpora.synthetic import COLUMNS, parse_table
from manifests.synthesis.synthesize import synthesize
from warehouse.errors import ManifestError


@pytest.fixture
def folder(tmp_path):
    synthesize(small(tmp_path, hours=3 / 3600), SineSpeaker())
    return tmp_path


def test_a_row_has_voice_split_prompt_licence_and_origin(folder):
    clips = parse_table((folder / "corpus.tsv").read_text(encoding="utf-8"))
    rows = rows_of(open_corpus("synthetic", folder))
    assert [(row.subset, row.speaker, row.text) for row in rows] == [
        (clip.split, f"synthetic:{clip.voice}", clip.prompt) for clip in clips
    ]
    assert {(row.language, row.licence, row.origin, row.drop_reason) for row in rows} == {
        ("en", "Apache-2.0", "synthetic", None)
    }
    assert json.loads(rows[0].extra)["kind"] == "digits"
    assert [row.duration for row in rows] == pytest.approx([float(clip.duration_s) for clip in clips], abs=0.006)


def test_a_corpus_that_grows_makes_no_older_clip_new(folder):
    corpus = open_corpus("synthetic", folder)
    before = list(corpus.find())
    synthesize(small(folder, hours=4 / 3600), SineSpeaker())
    after = list(corpus.find())
    assert len(after) > len(before)
    assert after[: len(before)] == before


def test_a_changed_row_makes_its_clip_new(folder):
    corpus = open_corpus("synthetic", folder)
    before = list(corpus.find())
    table = folder / "corpus.tsv"
    lines = table.read_text(encoding="utf-8").splitlines(keepends=True)
    lines[1] = lines[1].replace("d1_00000.ogg\theldout", "d1_00000.ogg\tmain")
    table.write_text("".join(lines), encoding="utf-8")
    after = list(corpus.find())
    assert after[0].etag != before[0].etag
    assert after[1:] == before[1:]


def test_a_row_that_is_being_written_is_left_out(folder):
    corpus = open_corpus("synthetic", folder)
    before = list(corpus.find())
    with (folder / "corpus.tsv").open("a", encoding="utf-8") as table:
        table.write("af_one_d1_99999\taudio/af_one_d1_99")
    assert list(corpus.find()) == before


def test_a_missing_clip_is_a_row_with_a_reason(folder):
    first = sorted((folder / "audio").iterdir())[0]
    first.unlink()
    rows = rows_of(open_corpus("synthetic", folder))
    assert [row.drop_reason for row in rows if row.path == str(first)] == ["missing_file"]
    assert sum(row.drop_reason is not None for row in rows) == 1


def test_tables_of_another_form_are_one_sentence(tmp_path):
    header = "\t".join(COLUMNS)
    assert parse_table("") == parse_table(header) == parse_table(f"{header}\n") == []
    with pytest.raises(ManifestError, match="other columns"):
        parse_table("id\ttext\n")
    with pytest.raises(ManifestError, match=r"Line 2 of corpus\.tsv has 2 columns"):
        parse_table(f"{header}\na\tb\n")
    assert list(open_corpus("synthetic", tmp_path).find()) == []
    with pytest.raises(ManifestError, match="is not a folder"):
        next(open_corpus("synthetic", tmp_path / "absent").find())


@pytest.mark.real
def test_the_shared_corpus_is_read():
    shared = Path(__file__).parents[4] / "shared/corpus/kokoro"
    if not shared.is_dir():
        pytest.skip("the shared speech is not there")
    sources = list(open_corpus("synthetic", shared).find())
    assert len(sources) == len({source.relative_path for source in sources}) > 1800
    assert all(source.size > 1000 for source in sources)
