"""Emilia's tars, read in place, whole and broken."""

import gzip
import json
import lzma
import random
import tarfile

import pytest
from corpora import encoded, put, put_tar, rows_of, single_row, utterance

from manifests import CorpusOptions, open_corpus
from manifests.audio.inspection import inspect_bytes
from manifests.corpus import assign_shards
from manifests.reading.archive import split_archive
from tests.memory import peak_of
from warehouse.lake.arrow import to_table
from warehouse.rows import RecordingRow

IDS = [f"EN_B00000_S{speaker:05d}_W{number:06d}" for speaker in (0, 10) for number in range(3)]


def put_emilia(root, ids=IDS, place="Emilia/EN/EN-B000000.tar", **changes):
    return put_tar(root / place, [member for identity in ids for member in utterance(identity, **changes)])


def test_an_utterance_is_a_member_read_in_place(tmp_path):
    tar = put_emilia(tmp_path)
    rows = rows_of(open_corpus("emilia", tmp_path))
    assert [row.member for row in rows] == [f"{identity}.mp3" for identity in IDS]
    first = rows[0]
    assert (first.speaker, first.book) == ("emilia:EN_B00000_S00000", "EN_B00000_S00000")
    assert (first.text, first.language, first.dnsmos) == (f"Text of {IDS[0]}.", "en", 3.2)
    assert (first.subset, first.licence, first.drop_reason) == ("EN", "CC-BY-NC-4.0", None)
    assert (first.sample_rate, first.num_samples) == (24000, 12000)
    assert json.loads(first.extra)["duration"] == 0.5
    with tar.open("rb") as file:
        for row in rows:
            file.seek(row.offset)
            assert inspect_bytes(file.read(row.size)).content_hash == row.content_hash


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_small_ranges_give_the_same_rows_as_one(tmp_path, form):
    folder = "a folder with a long name " * 3
    ids = [f"{folder}/EN_B00000_S{number % 7:05d}_W{number:06d}" for number in range(40)]
    long = "x" * (10 if form == tarfile.USTAR_FORMAT else 90)
    members = [
        (name.replace("EN_B", f"{long}EN_B"), content) for identity in ids for name, content in utterance(identity)
    ]
    put_tar(tmp_path / "EN-B000000.tar", members, form=form)
    whole = open_corpus("emilia", tmp_path)
    cut = open_corpus("emilia", tmp_path, options=CorpusOptions(shard_megabytes=0.02))
    assert len(list(whole.find())) == 1
    assert len(list(cut.find())) >= 5
    assert [r.recording_id for r in rows_of(cut)] == [r.recording_id for r in rows_of(whole)]
    assert all(row.drop_reason is None and row.text for row in rows_of(cut))


@pytest.mark.parametrize("wanted", [512, 5_000, 30_000, 1 << 30])
def test_ranges_cover_the_archive_without_gap_or_overlap(tmp_path, wanted):
    tar = put_emilia(tmp_path)
    position = 0
    for part in split_archive(str(tar), wanted):
        assert part.offset == position and part.size > 0
        position += part.size
    assert position == tar.stat().st_size


def test_licence_and_part_follow_the_subset(tmp_path):
    put_emilia(tmp_path, IDS[:1])
    put_emilia(tmp_path, ["DE_8kV3q_W000001"], "Emilia-YODAS/DE/DE-B000000.tar")
    yodas, plain = sorted(rows_of(open_corpus("emilia", tmp_path)), key=lambda row: row.licence)
    assert (yodas.licence, yodas.subset, yodas.language) == ("CC-BY-4.0", "YODAS-DE", "en")
    assert (plain.licence, plain.subset) == ("CC-BY-NC-4.0", "EN")
    every = rows_of(open_corpus("emilia-yodas", tmp_path / "Emilia"))
    assert {(row.licence, row.corpus) for row in every} == {("CC-BY-4.0", "emilia-yodas")}


def test_an_item_and_an_option_may_name_the_licence(tmp_path):
    sidecar = json.dumps({"text": "x", "licence": "Apache-2.0", "origin": "synthetic"}).encode()
    put_emilia(tmp_path, IDS[:1], sidecar=sidecar)
    row = single_row(open_corpus("emilia", tmp_path, options=CorpusOptions(licence="CC0-1.0")))
    assert (row.licence, row.origin) == ("Apache-2.0", "synthetic")
    put_emilia(tmp_path, IDS[:1])
    row = single_row(open_corpus("emilia", tmp_path, options=CorpusOptions(licence="CC0-1.0", origin="generated")))
    assert (row.licence, row.origin) == ("CC0-1.0", "generated")


def test_yodas_speakers_of_different_videos_stay_apart(tmp_path):
    sidecar = json.dumps({"text": "x", "speaker": "SPEAKER_00"}).encode()
    put_emilia(tmp_path, ["EN_aaa_W000001", "EN_bbb_W000001"], sidecar=sidecar)
    rows = rows_of(open_corpus("emilia-yodas", tmp_path))
    assert [row.speaker for row in rows] == ["emilia-yodas:EN_aaa/SPEAKER_00", "emilia-yodas:EN_bbb/SPEAKER_00"]


@pytest.mark.parametrize("sidecar", [b"{", b"[]", b"\xff\xff", b'"text"'])
def test_a_bad_sidecar_leaves_a_usable_row_without_text(tmp_path, sidecar):
    put_emilia(tmp_path, IDS[:1], sidecar=sidecar)
    row = single_row(open_corpus("emilia", tmp_path))
    assert (row.drop_reason, row.text, row.dnsmos) == (None, None, None)
    assert row.speaker == "emilia:EN_B00000_S00000"
    assert json.loads(row.extra)["faults"]


def test_missing_partners_are_told(tmp_path):
    (json_one, _), (_, mp3_two) = utterance(IDS[0]), utterance(IDS[1])
    put_tar(tmp_path / "a.tar", [json_one, mp3_two])
    alone, silent = rows_of(open_corpus("emilia", tmp_path))
    assert (alone.drop_reason, alone.text) == ("missing_audio", f"Text of {IDS[0]}.")
    assert (silent.drop_reason, silent.text) == (None, None)
    assert json.loads(silent.extra)["faults"] == ["no sidecar"]


def test_values_of_another_type_are_converted_where_their_meaning_is_certain(tmp_path):
    sidecar = b'{"text": 7, "speaker": 12.0, "language": ["eng"], "dnsmos": "3.25", "duration": NaN}'
    put_emilia(tmp_path, IDS[:1], sidecar=sidecar)
    row = single_row(open_corpus("emilia", tmp_path))
    assert (row.text, row.speaker, row.language, row.dnsmos) == ("7", f"emilia:{IDS[0][:16]}/12", "en", 3.25)
    assert json.loads(row.extra) == {"duration": None}


def test_values_that_cannot_be_used_are_kept_as_they_are_and_named(tmp_path):
    values = {"text": ["a", "b"], "speaker": {"id": 1}, "language": "Klingonisch", "dnsmos": "good"}
    put_emilia(tmp_path, IDS[:1], sidecar=json.dumps(values).encode())
    row = single_row(open_corpus("emilia", tmp_path, options=CorpusOptions(language="de")))
    assert (row.text, row.language, row.dnsmos, row.drop_reason) == (None, "und", None, None)
    extra = json.loads(row.extra)
    assert {key: extra[key] for key in values} == values
    assert extra["faults"] == [f"{key} was not understood" for key in ("speaker", "language", "text", "dnsmos")]


def test_bad_audio_is_a_dropped_row_beside_the_good_ones(tmp_path):
    members = utterance(IDS[0], audio=b"") + utterance(IDS[1], audio=b"noise" * 99) + utterance(IDS[2])
    put_tar(tmp_path / "a.tar", members)
    rows = rows_of(open_corpus("emilia", tmp_path))
    assert [row.drop_reason for row in rows] == ["empty", "undecodable", None]


def test_the_same_name_twice_is_kept_once(tmp_path):
    put_tar(tmp_path / "a.tar", utterance(IDS[0]) + utterance(IDS[1]) + utterance(IDS[0]))
    rows = rows_of(open_corpus("emilia", tmp_path))
    assert [row.drop_reason for row in rows] == [None, None, "duplicate_member"]
    assert len({row.recording_id for row in rows}) == 3


def test_an_archive_cut_anywhere_gives_the_rows_before_the_cut_and_one_dropped_row(tmp_path):
    tar = put_emilia(tmp_path / "whole", IDS[:3])
    content = tar.read_bytes()
    good = rows_of(open_corpus("emilia", tmp_path / "whole"))
    ends = [row.offset + row.size for row in good]
    for cut in range(0, ends[-1] + 512, 997):
        put(tmp_path / "cut/Emilia/EN/EN-B000000.tar", content[:cut])
        rows = rows_of(open_corpus("emilia", tmp_path / "cut"))
        usable = [row for row in rows if row.drop_reason is None]
        assert [row.recording_id for row in usable] == [row.recording_id for row in good[: len(usable)]]
        assert len(usable) == sum(end <= cut for end in ends)
        assert [row.drop_reason for row in rows[len(usable) :]] == ["truncated_archive"], cut


def test_garbage_in_the_middle_ends_the_archive_with_a_dropped_row(tmp_path):
    tar = put_emilia(tmp_path, IDS[:4])
    rows = rows_of(open_corpus("emilia", tmp_path))
    content = bytearray(tar.read_bytes())
    start = -(-(rows[1].offset + rows[1].size) // 512) * 512
    content[start : start + 512] = b"\xaa" * 512
    tar.write_bytes(content)
    assert [row.drop_reason for row in rows_of(open_corpus("emilia", tmp_path))] == [None, None, "truncated_archive"]


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "truncated_archive"), (b"no tar at all" * 999, "truncated_archive")]
)
def test_what_is_no_archive_is_one_dropped_row(tmp_path, content, reason):
    put(tmp_path / "EN-B000000.tar", content)
    row = single_row(open_corpus("emilia", tmp_path))
    assert (row.drop_reason, row.subset) == (reason, "EN")


def test_an_empty_archive_is_one_dropped_row_so_that_it_is_never_read_again(tmp_path):
    put_tar(tmp_path / "EN-B000000.tar", [])
    assert single_row(open_corpus("emilia", tmp_path)).drop_reason == "no_recordings"


def test_a_dangling_link_is_one_dropped_row(tmp_path):
    (tmp_path / "EN-B000000.tar").symlink_to(tmp_path / "nowhere")
    assert single_row(open_corpus("emilia", tmp_path)).drop_reason == "unreadable"


def test_other_audio_formats_in_a_tar_are_read(tmp_path):
    sidecar = utterance("a_W1")[0]
    put_tar(tmp_path / "a.tar", [sidecar, ("a_W1.flac", encoded())])
    row = single_row(open_corpus("emilia", tmp_path))
    assert (row.sample_rate, row.text) == (16000, "Text of a_W1.")


def test_no_damage_to_an_archive_raises_and_ids_stay_unique(tmp_path):
    content = put_emilia(tmp_path, IDS[:3]).read_bytes()
    headers = [at for at in range(0, len(content), 512) if content[at + 257 : at + 262] == b"ustar"]
    rng = random.Random(7)
    corpus = open_corpus("emilia", tmp_path, options=CorpusOptions(shard_megabytes=0.01))
    for _ in range(40):
        damaged = bytearray(content)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.choice(headers) + rng.randint(0, 1000)] = rng.randrange(256)
        for at in headers:  # a good checksum lets a bad field through
            header = damaged[at : at + 512]
            damaged[at + 148 : at + 156] = b"%06o\0 " % (sum(header[:148]) + 8 * ord(" ") + sum(header[156:]))
        put(tmp_path / "Emilia/EN/EN-B000000.tar", bytes(damaged))
        rows = rows_of(corpus)
        assert rows and len({row.recording_id for row in rows}) == len(rows)
        to_table(RecordingRow, rows)


def count_rows(corpus):
    sources = assign_shards(corpus.find(), corpus.name, megabytes=0.1)
    return sum(1 for source in sources for _ in corpus.read(source))


def test_listing_and_reading_an_archive_six_times_the_size_takes_no_more_memory(tmp_path):
    peaks = []
    for size in (60, 360):
        audio = encoded("MP3", rate=24000, seconds=0.1)
        members = [m for number in range(size) for m in utterance(f"EN_B00000_S00000_W{number:06d}", audio=audio)]
        put_tar(tmp_path / f"{size}/EN-B000000.tar", members)
        corpus = open_corpus("emilia", tmp_path / f"{size}", options=CorpusOptions(shard_megabytes=0.1))
        assert count_rows(corpus) == size
        peaks.append(peak_of(lambda corpus=corpus: count_rows(corpus)))
    assert peaks[1] < 1.5 * peaks[0] + 20_000


def test_members_of_the_operating_system_are_no_utterances(tmp_path):
    members = []
    for identity in IDS[:3]:
        for name, content in utterance(identity):
            members += [(f"._{name}", b"\x00\x05\x16\x07"), (f"__MACOSX/{name}", b"x"), (name, content)]
    put_tar(tmp_path / "a.tar", [(".DS_Store", b"x"), *members])
    rows = rows_of(open_corpus("emilia", tmp_path))
    assert [(row.drop_reason, row.text) for row in rows] == [(None, f"Text of {identity}.") for identity in IDS[:3]]


@pytest.mark.parametrize("megabytes", [64, 0.005])
def test_members_sorted_by_kind_find_their_partners(tmp_path, megabytes):
    pairs = [utterance(identity) for identity in IDS]
    put_tar(tmp_path / "a.tar", [audio for _, audio in pairs] + [json for json, _ in pairs])
    corpus = open_corpus("emilia", tmp_path, options=CorpusOptions(shard_megabytes=megabytes))
    assert len(list(corpus.find())) > (1 if megabytes < 1 else 0)
    rows = [row for row in rows_of(corpus) if row.drop_reason != "no_recordings"]
    assert [(row.member, row.text) for row in rows] == [(f"{identity}.mp3", f"Text of {identity}.") for identity in IDS]
    assert {row.drop_reason for row in rows} == {None}


def test_suffixes_of_two_parts_group_by_the_name_before_them(tmp_path):
    members = []
    for identity in IDS[:2]:
        (_, sidecar), (_, audio) = utterance(identity)
        members += [(f"{identity}.speech.mp3", audio), (f"{identity}.meta.json", sidecar)]
    put_tar(tmp_path / "a.tar", members)
    rows = rows_of(open_corpus("emilia", tmp_path))
    assert [row.text for row in rows] == [f"Text of {identity}." for identity in IDS[:2]]
    assert [row.speaker for row in rows] == ["emilia:EN_B00000_S00000"] * 2


@pytest.mark.parametrize(("for_audio", "for_json"), [("", "./"), ("audio/", "json/"), ("a/b/", "")])
def test_partners_in_other_folders_of_the_archive_are_found(tmp_path, for_audio, for_json):
    members = []
    for identity in IDS[:3]:
        (name, sidecar), (audio_name, audio) = utterance(identity)
        members += [(for_json + name, sidecar), (for_audio + audio_name, audio)]
    put_tar(tmp_path / "a.tar", members)
    rows = rows_of(open_corpus("emilia", tmp_path))
    assert [(row.text, row.drop_reason) for row in rows] == [(f"Text of {identity}.", None) for identity in IDS[:3]]


def test_equal_names_in_two_folders_keep_their_own_partners(tmp_path):
    members = []
    for folder in ("one", "two"):
        (name, _), (audio_name, audio) = utterance(IDS[0], sidecar={"text": folder})
        members += [(f"json/{folder}/{name}", json.dumps({"text": folder}).encode()), (f"{folder}/{audio_name}", audio)]
    put_tar(tmp_path / "a.tar", members)
    texts = [row.text for row in rows_of(open_corpus("emilia", tmp_path)) if row.member.endswith("mp3")]
    assert texts == [None, None], "which text is whose cannot be told"


def test_full_stops_in_names_do_not_mix_utterances(tmp_path):
    members = []
    for name in ("v1.0_W1", "v1.5_W1", "v1.7_W1"):
        sidecar, (_, audio) = utterance(name)
        members += [(f"{name}.mp3", audio)] + ([sidecar] if name != "v1.7_W1" else [])
    put_tar(tmp_path / "a.tar", members)
    assert [row.text for row in rows_of(open_corpus("emilia", tmp_path))] == [
        "Text of v1.0_W1.",
        "Text of v1.5_W1.",
        None,
    ]


def test_an_archive_that_is_compressed_is_named_as_such(tmp_path):
    put(tmp_path / "EN-B000000.tar", gzip.compress(b"x" * 9999))
    row = single_row(open_corpus("emilia", tmp_path))
    assert (row.drop_reason, "gzip" in row.drop_detail) == ("truncated_archive", True)


@pytest.mark.parametrize(
    ("name", "module", "word"), [("a.tar.gz", gzip, "gzip"), ("b.tgz", gzip, "gzip"), ("c.tar.xz", lzma, "xz")]
)
def test_a_compressed_archive_is_a_row_unless_its_tar_is_beside_it(tmp_path, name, module, word):
    put(tmp_path / name, module.compress(b"x" * 9999))
    put(tmp_path / "other.gz", b"no tar")
    assert word in single_row(open_corpus("emilia", tmp_path)).drop_detail
    if ".tar" in name:
        put_tar(tmp_path / name[:5], utterance(IDS[0]))
        assert single_row(open_corpus("emilia", tmp_path)).drop_reason is None


@pytest.mark.parametrize("order", ["json first", "audio first"])
def test_audio_before_a_sidecar_that_is_cut_off_is_kept(tmp_path, order):
    sidecar, audio = utterance(IDS[0])
    tar = put_tar(tmp_path / "a.tar", [sidecar, audio] if order == "json first" else [audio, sidecar])
    content = tar.read_bytes()
    cut = content.index(b'"text"') if order == "audio first" else content.index(audio[1]) + 500
    tar.write_bytes(content[:cut])
    reasons = [row.drop_reason for row in rows_of(open_corpus("emilia", tmp_path))]
    assert reasons == ([None, "truncated_archive"] if order == "audio first" else ["truncated_archive"])
