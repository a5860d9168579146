"""Promises of every corpus reader: stable ids, repeatable listings, shards, options, and no exception on bad input."""

import pytest
from corpora import chapter_sidecar, encoded, put, put_chapter, put_tar, rows_of, utterance
from pydantic import ValidationError

from manifests import CorpusOptions, open_corpus
from manifests.corpus import Source, assign_shards, source_id
from manifests.reading.listing import walk
from tests.memory import peak_of
from warehouse.errors import ConfigurationError, ManifestError
from warehouse.lake.arrow import from_table, to_table
from warehouse.rows import RecordingRow


def small_corpora(root):
    put_chapter(root / "librilight", sidecar=chapter_sidecar())
    put_chapter(root / "librilight", "small/100/a book/chapter_02_64kb", sidecar=chapter_sidecar(), seconds=0.7)
    put_tar(root / "emilia/EN/EN-B000000.tar", utterance("EN_B00000_S00000_W000000"))
    put(root / "folder/anna/one.wav", encoded("WAV"))
    put(root / "folder/anna/one.txt", "one")
    return [(kind, root / kind) for kind in ("librilight", "emilia", "folder")]


@pytest.mark.parametrize("index", range(3))
def test_ids_do_not_depend_on_where_the_root_lies(tmp_path, index):
    kind, here = small_corpora(tmp_path / "here")[index]
    _, there = small_corpora(tmp_path / "some/where/else")[index]
    first, second = rows_of(open_corpus(kind, here)), rows_of(open_corpus(kind, there))
    assert [row.recording_id for row in first] == [row.recording_id for row in second]
    assert [row.source_id for row in first] == [row.source_id for row in second]
    assert [row.content_hash for row in first] == [row.content_hash for row in second]
    assert all(len(row.recording_id) >= 16 for row in first)


@pytest.mark.parametrize("index", range(3))
def test_a_second_listing_is_equal_to_the_first(tmp_path, index):
    kind, root = small_corpora(tmp_path)[index]
    corpus = open_corpus(kind, root)
    first = list(corpus.find())
    assert first
    assert list(corpus.find()) == first
    assert [row.shard for row in rows_of(corpus)] == [row.shard for row in rows_of(corpus)]


def test_rows_of_every_reader_fit_the_table_of_recordings(tmp_path):
    for kind, root in small_corpora(tmp_path):
        rows = rows_of(open_corpus(kind, root))
        assert list(from_table(RecordingRow, to_table(RecordingRow, rows))) == rows


@pytest.mark.parametrize("kind", ["librilight", "emilia", "emilia-yodas", "folder"])
def test_a_missing_root_is_one_sentence_and_an_empty_one_is_nothing(tmp_path, kind):
    with pytest.raises(ManifestError, match="is not a folder"):
        next(open_corpus(kind, tmp_path / "absent").find())
    assert list(open_corpus(kind, tmp_path).find()) == []


def test_an_unknown_kind_lists_the_kinds():
    with pytest.raises(ConfigurationError, match=r"emilia, .*folder, .*librilight"):
        open_corpus("common-voice", ".")


def test_a_name_that_could_leave_its_folder_is_refused():
    with pytest.raises(ConfigurationError, match="corpus name"):
        open_corpus("folder", ".", "../elsewhere")


def test_options_that_make_no_sense_are_refused():
    with pytest.raises(ValidationError, match="origin"):
        CorpusOptions(origin="dreamt")
    with pytest.raises(ValidationError, match="shard_megabytes"):
        CorpusOptions(shard_megabytes=float("nan"))


def source(number, megabytes, **changes):
    values = {"path": f"/x/{number}", "relative_path": str(number), "etag": "e", "size": megabytes << 20}
    return Source(**(values | changes))


def test_shards_hold_about_the_wanted_megabytes_and_every_source_once():
    sources = [source(number, 3) for number in range(10)] + [source(10, 50)]
    rows = list(assign_shards(sources, "c", megabytes=10))
    sizes = {}
    for row in rows:
        sizes[row.shard] = sizes.get(row.shard, 0) + row.size
    assert [size >> 20 for size in sizes.values()] == [9, 9, 9, 3, 50]
    assert [row.path for row in rows] == [each.path for each in sources]
    assert len({row.source_id for row in rows}) == 11


def test_a_shard_is_named_after_its_content():
    def name(sources):
        (shard,) = {row.shard for row in assign_shards(sources, "c", megabytes=100)}
        return shard

    one, two = source(1, 1), source(2, 1)
    assert name([one, two]) == name([one, two])
    assert name([one, two]).startswith("c-") and len(name([one, two])) == len("c-") + 10
    assert len({name([one, two]), name([one]), name([one, source(2, 1, etag="f")])}) == 3


def test_a_changed_file_keeps_its_source_id_and_changes_its_fingerprint(tmp_path):
    corpus = open_corpus("folder", tmp_path)
    put(tmp_path / "one.wav", encoded("WAV"))
    (before,) = rows_of(corpus)
    put(tmp_path / "one.wav", encoded("WAV", seconds=0.75))
    (after,) = rows_of(corpus)
    assert (after.source_id, after.recording_id) == (before.source_id, before.recording_id)
    assert after.fingerprint != before.fingerprint
    assert after.content_hash != before.content_hash


def test_a_changed_sidecar_changes_the_fingerprint(tmp_path):
    corpus = open_corpus("librilight", tmp_path)
    put_chapter(tmp_path, sidecar=chapter_sidecar())
    (before,) = rows_of(corpus)
    put_chapter(tmp_path, sidecar=chapter_sidecar(snr=3.25))
    (after,) = rows_of(corpus)
    assert after.fingerprint != before.fingerprint
    assert after.content_hash == before.content_hash


def test_byte_ranges_of_one_archive_are_different_sources():
    first = source(1, 1, is_range=True)
    second = source(1, 1, is_range=True, offset=1 << 20)
    assert source_id("c", first) != source_id("c", second)


def test_walking_is_sorted_skips_hidden_names_and_survives_loops(tmp_path):
    for name in ("b/2.wav", "a.wav", "b/1.WAV", ".hidden/3.wav", "b/.4.wav", "b/note.txt"):
        put(tmp_path / name, b"x")
    (tmp_path / "b/again").symlink_to(tmp_path / "b")
    (tmp_path / "b/gone.wav").symlink_to(tmp_path / "nowhere.wav")
    found = [file.relative_path for file in walk(tmp_path, frozenset({".wav"}))]
    assert found == ["a.wav", "b/1.WAV", "b/2.wav", "b/gone.wav"]


def test_a_folder_that_cannot_be_listed_becomes_a_dropped_row(tmp_path, monkeypatch):
    import os

    real = os.scandir
    put(tmp_path / "closed/one.wav", encoded("WAV"))
    put(tmp_path / "open/two.wav", encoded("WAV"))

    def scandir(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    rows = rows_of(open_corpus("folder", tmp_path))
    assert [row.drop_reason for row in rows] == ["unreadable", None]


def peak_of_find(root):
    corpus = open_corpus("librilight", root)
    return len(list(corpus.find())), peak_of(lambda: sum(1 for _ in corpus.find()))


def test_listing_a_corpus_ten_times_the_size_takes_no_more_memory(tmp_path):
    for name, books in (("few", 20), ("many", 200)):
        for book in range(books):
            for chapter in range(5):
                put(tmp_path / f"{name}/small/{book % 20}/{book}/{chapter}.flac", b"")
    (few, small), (many, large) = peak_of_find(tmp_path / "few"), peak_of_find(tmp_path / "many")
    assert (few, many) == (100, 1000)
    assert large < 1.5 * small + 20_000
