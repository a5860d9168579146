"""A folder of odd names, bad files and bad tars: every source becomes a row and ingestion succeeds."""

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from manifests import CorpusOptions, open_corpus
from valle.stages.ingest import ingest_shard, plan_ingest
from warehouse.catalogue.views import connect
from warehouse.lake.tables import Lake
from warehouse.upkeep.fsck import fsck

ODD_NAMES = [
    "plain", "with space", " leading", "trailing ", "two  spaces", "tab\there", "new\nline", "carriage\rreturn",
    "quote'", 'double"quote', "back\\slash", "semi;colon", "dollar$HOME", "$(touch x)", "`id`", "star*", "question?",
    "[bracket]", "{brace}", "per%20cent", "percent%", "hash#tag", "at@sign", "plus+", "equals=1", "key=value", "a&b",
    "pipe|", "less<more>", "tilde~", "-dash", "--option", "comma,", "colon:", "exclamation!", "caret^", "under_score",
    "dot.dot", "many.dots.in.it", "ends.wav", "UPPER", "MiXeD", "é", "e\u0301", "ß", "日本語", "한국어",
    "العربية", "עברית",
    "ไทย", "emoji😀", "family👨\u200d👩\u200d👧", "zero\u200bwidth", "rtl\u202eoverride", "nbsp\u00a0", "bom\ufeff",
    "del\x7f", "bell\x07", "escape\x1b[31m", "con", "nul", "aux", "com1", "null", "None", "nan", "true", "0", "-1",
    "1e999", "a" * 240, "ö" * 120, "a/b/c/d", "deep/" * 30 + "x", "..x", "x..", "'; DROP TABLE recordings; --", "😀/😀",
    "＂wide＂",
]  # fmt: skip


def audio(samples=None, container="WAV", subtype=None, rate=16_000):
    buffer = io.BytesIO()
    samples = np.random.default_rng(1).normal(0, 0.1, 4_000) if samples is None else samples
    soundfile.write(buffer, samples, rate, format=container, subtype=subtype)
    return buffer.getvalue()


def noise(seed, count=4_000):
    return np.random.default_rng(seed).normal(0, 0.1, count)


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def nested(depth, opening="[", closing="]"):
    return (opening * depth + closing * depth).encode()


BAD_SIDECARS = {
    "nested 600": b'{"x": ' + nested(600) + b"}",
    "nested 990": b'{"x": ' + nested(990) + b"}",
    "nested 100000": nested(100_000),
    "objects 600": b'{"a":' * 600 + b"1" + b"}" * 600,
    "309 digits": b'{"snr": 1' + b"0" * 309 + b', "voice_activity": [[0, 1' + b"0" * 309 + b"]]}",
    "4300 digits": b'{"speaker": 1' + b"0" * 4_290 + b"}",
    "9999 digits": b'{"speaker": 1' + b"0" * 9_999 + b"}",
    "infinite": b'{"snr": Infinity, "voice_activity": [[NaN, -Infinity], [1e999, 2]]}',
    "surrogate": b'{"speaker": "\\ud800", "\\udfff": "\\ud800", "book_meta": {"id": "\\udc00"}}',
    "null byte": b'{"speaker": "a\\u0000b", "book_meta": {"meta_genre": "\\u0000"}}',
    "not utf-8": b'{"speaker": "\xff"}',
    "utf-16": json.dumps({"speaker": "x"}).encode("utf-16"),
    "two objects": b"{} {}",
    "a list": b"[1, 2]",
    "a number": b"17",
    "empty": b"",
    "wrong types": b'{"speaker": {"a": [1]}, "snr": [1, 2], "book_meta": "x", "voice_activity": {"a": 1}}',
    "true": b'{"speaker": true, "snr": false, "voice_activity": [[true, false]], "book_meta": {"language": true}}',
    "large": b'{"x": "' + b"x" * (17 << 20) + b'"}',
}


def put_bad_audio(root):
    good = audio()
    flac = bytearray(audio(container="FLAC"))
    flac[21] &= 0xF0
    flac[22:26] = bytes(4)
    files = {
        "empty.wav": b"",
        "text.wav": b"this is no audio" * 99,
        "zeros.mp3": bytes(9_999),
        "header.wav": good[:44],
        "half.wav": good[: len(good) // 2],
        "no_length.flac": bytes(flac),
        "half.flac": audio(noise(3, 32_000), "FLAC")[:30_000],
        "half.ogg": audio(noise(4, 96_000), "OGG", "OPUS", rate=24_000)[:9_000],
        "huge.wav": audio(np.full(4_000, 3e38), subtype="FLOAT"),
        "not_a_number.wav": audio(np.full(4_000, np.nan), subtype="FLOAT"),
        "slow.wav": audio(rate=7),
        "fast.wav": audio(rate=300_000_000),
        "wide.wav": audio(np.zeros((100, 900)), subtype="PCM_16"),
        "no_samples.wav": audio(np.zeros(0)),
        "wrong.flac": good,
        "wrong.mp3": audio(container="OGG", subtype="VORBIS"),
    }
    for name, content in files.items():
        put(root / name, content)
    texts = ["latin1", "large", "folder", "pipe", "endless"]
    for seed, name in enumerate(texts, start=10):
        put(root / f"text_{name}.wav", audio(noise(seed)))
    put(root / "text_latin1.txt", b"caf\xe9")
    put(root / "text_large.txt", b"x" * (17 << 20))
    (root / "text_folder.txt").mkdir()
    os.mkfifo(root / "text_pipe.txt")
    (root / "text_endless.txt").symlink_to("/dev/zero")
    return [*files, *(f"text_{name}.wav" for name in texts)]


def put_special_files(root):
    root.mkdir(parents=True)
    (root / "itself.wav").symlink_to("itself.wav")
    (root / "one.wav").symlink_to("two.wav")
    (root / "two.wav").symlink_to("one.wav")
    (root / "gone.wav").symlink_to("nowhere.wav")
    (root / "zero.wav").symlink_to("/dev/zero")
    (root / "null.wav").symlink_to("/dev/null")
    (root / "root").symlink_to(root.parent)
    (root / "self").symlink_to(".")
    os.mkfifo(root / "pipe.wav")
    (root / "folder.wav").mkdir()
    put(root / "beside.wav", audio())
    return ["itself", "one", "two", "gone", "zero", "null", "pipe", "beside"]


def ingest(kind, root, lake, **options):
    corpus = open_corpus(kind, root, options=CorpusOptions(**options))
    plan = plan_ingest(corpus, lake)
    for shard in plan.shards:
        ingest_shard(corpus, shard=shard, lake=lake, run_id="test")
    assert plan_ingest(corpus, lake).shards == (), "every shard is read once"
    assert fsck(lake).faults == ()
    with connect(lake.snapshot()) as connection:
        sources = connection.execute("SELECT source_id FROM sources WHERE corpus = ?", [corpus.name]).fetchall()
        rows = connection.execute(
            "SELECT source_id, path, drop_reason, drop_detail, extra FROM current_recordings WHERE corpus = ?",
            [corpus.name],
        ).to_arrow_table()
    found = rows.to_pylist()
    assert {row["source_id"] for row in found} == {source for (source,) in sources}, "every source is a row"
    for row in found:
        json.loads(row["extra"])
    return found


def reasons(rows):
    return {Path(row["path"]).name: row["drop_reason"] for row in rows}


def test_every_odd_name_is_a_usable_recording_with_its_text(tmp_path):
    for number, name in enumerate(ODD_NAMES):
        put(tmp_path / "corpus" / f"{name}.wav", audio(np.random.default_rng(number).normal(0, 0.1, 4_000)))
        put(tmp_path / "corpus" / f"{name}.txt", name.encode())
    rows = ingest("folder", tmp_path / "corpus", Lake(tmp_path / "lake"))
    hidden = [name for name in ODD_NAMES if Path(name).name.startswith(".")]
    assert len(rows) == len(ODD_NAMES) - len(hidden)
    assert {row["drop_reason"] for row in rows} == {None}


@pytest.mark.skipif(sys.platform == "darwin", reason="names are UTF-8 there")
def test_a_name_that_is_not_utf8_is_a_dropped_row_beside_the_others(tmp_path):
    put(tmp_path / "corpus/good.wav", audio())
    os.close(os.open(os.fsencode(tmp_path / "corpus") + b"/caf\xe9.wav", os.O_CREAT | os.O_WRONLY))
    rows = ingest("folder", tmp_path / "corpus", Lake(tmp_path / "lake"))
    assert reasons(rows) == {"good.wav": None, "caf\\xe9.wav": "missing_file"}


def test_bad_audio_and_bad_texts_are_rows(tmp_path):
    names = put_bad_audio(tmp_path / "corpus")
    rows = ingest("folder", tmp_path / "corpus", Lake(tmp_path / "lake"))
    found = reasons(rows)
    assert sorted(found) == sorted(names)
    assert {name for name, reason in found.items() if reason is None} >= {
        "half.wav", "no_length.flac", "half.flac", "half.ogg", "wide.wav", "text_pipe.wav", "text_endless.wav",
    }  # fmt: skip
    assert {found[name] for name in ("empty.wav", "no_samples.wav", "header.wav")} == {"empty"}
    assert {found[name] for name in ("text.wav", "zeros.mp3")} == {"undecodable"}
    assert {found[name] for name in ("slow.wav", "fast.wav")} == {"sample_rate"}
    texts = {Path(row["path"]).stem: json.loads(row["extra"]) for row in rows if "text_" in row["path"]}
    assert all(extra["faults"] for extra in texts.values())


def test_special_files_and_links_neither_block_nor_hide_their_neighbours(tmp_path):
    names = put_special_files(tmp_path / "corpus/inner")
    put(tmp_path / "corpus/outer.wav", audio(np.zeros(999)))
    found = reasons(ingest("folder", tmp_path / "corpus", Lake(tmp_path / "lake")))
    assert sorted(found) == sorted([f"{name}.wav" for name in names] + ["outer.wav"])
    assert {found[f"{name}.wav"] for name in ("zero", "null", "pipe")} == {"not_a_file"}
    assert {found[f"{name}.wav"] for name in ("itself", "one", "two")} == {"unreadable"}
    assert (found["gone.wav"], found["beside.wav"], found["outer.wav"]) == ("missing_file", None, None)


def test_crossed_links_are_listed_once_in_little_time(tmp_path):
    folders = [tmp_path / f"corpus/f{number:02d}" for number in range(30)]
    for folder, following in zip(folders, [*folders[1:], None], strict=True):
        put(folder / "a.wav", audio())
        if following is not None:
            (folder / "left").symlink_to(following)
            (folder / "right").symlink_to(following)
    sources = list(open_corpus("folder", tmp_path / "corpus").find())
    assert [source.relative_path for source in sources] == [f"f{number:02d}/a.wav" for number in range(30)]


def test_linked_folders_elsewhere_are_followed_once(tmp_path):
    put(tmp_path / "elsewhere/deep/a.wav", audio())
    put(tmp_path / "corpus/.store/b.wav", audio())
    (tmp_path / "elsewhere/deep/back").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "corpus/one").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "corpus/two").symlink_to(tmp_path / "elsewhere/deep")
    (tmp_path / "corpus/visible").symlink_to(".store")
    sources = [source.relative_path for source in open_corpus("folder", tmp_path / "corpus").find()]
    assert sources == ["one/deep/a.wav", "visible/b.wav"]


def test_a_tree_deeper_than_the_stack_is_listed(tmp_path):
    here = Path.cwd()
    (tmp_path / "corpus").mkdir()
    put(tmp_path / "corpus/a.wav", audio())
    try:
        os.chdir(tmp_path / "corpus")
        for _ in range(1_100):
            os.mkdir("d")  # noqa: PTH102 - a path of this length cannot be named from the root
            os.chdir("d")
    finally:
        os.chdir(here)
    try:
        sources = open_corpus("folder", tmp_path / "corpus").find()
        assert next(sources).relative_path == "a.wav"
        assert list(sources) == []
    finally:
        # pytest removes its folders by recursion, which a tree this deep would end.
        subprocess.run(["rm", "-rf", str(tmp_path / "corpus")], check=True)


@pytest.mark.parametrize("kind", ["librilight", "emilia", "emilia-raw"])
def test_bad_sidecars_are_rows_with_a_reason(tmp_path, kind):
    root = tmp_path / "corpus"
    for number, content in enumerate([*BAD_SIDECARS.values(), b'{"speaker": "fine"}']):
        sound = audio(np.random.default_rng(number).normal(0, 0.1, 4_000), "FLAC")
        if kind == "librilight":
            put(root / f"small/1/book/{number:02d}.flac", sound)
            put(root / f"small/1/book/{number:02d}.json", content)
        elif kind == "emilia":
            put_tar(root / f"EN-B{number:06d}.tar", [("x_W1.json", content), ("x_W1.flac", sound)])
        else:
            put(root / f"raw/EN/{number}.flac", sound)
            line = content.replace(b"\n", b" ")
            good = json.dumps({"wav": f"{number}.flac"}).encode()
            put(root / f"raw/EN/EN_B{number:05d}.jsonl", line + b"\n" + good + b"\n")
    rows = ingest(kind, root, Lake(tmp_path / "lake"), channels="mix")
    usable = [row for row in rows if row["drop_reason"] is None]
    assert len(usable) == len(BAD_SIDECARS) + 1


def put_tar(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def bad_tars():
    def tar(*infos):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for info, content in infos:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        return buffer.getvalue()

    def info(name, **changes):
        made = tarfile.TarInfo(name)
        for key, value in changes.items():
            setattr(made, key, value)
        return made

    good = tar((info("a_W1.json"), b"{}"), (info("a_W1.flac"), audio(container="FLAC")))
    huge = bytearray(good)
    huge[124:136] = b"77777777777\0"
    huge[148:156] = b"%06o\0 " % (sum(huge[:148]) + 8 * 32 + sum(huge[156:512]))
    return {
        "empty": b"",
        "zeros": bytes(10_240),
        "one block": bytes(512),
        "text": b"no tar" * 999,
        "gzip": gzip.compress(good),
        "half a header": good[:300],
        "cut": good[: len(good) // 3],
        "no end": good[:-10_000],
        "huge member": bytes(huge),
        "folders only": tar((info("d", type=tarfile.DIRTYPE), b"")),
        "links": tar((info("a.wav", type=tarfile.SYMTYPE, linkname="/etc/passwd"), b"")),
        "devices": tar((info("a.wav", type=tarfile.CHRTYPE), b""), (info("b.wav", type=tarfile.FIFOTYPE), b"")),
        "absolute": tar((info("/etc/a_W1.flac"), audio(container="FLAC"))),
        "above": tar((info("../../a_W1.flac"), audio(container="FLAC"))),
        "no names": tar((info(""), b"x"), (info("."), b"y"), (info("/"), b"z")),
        "not utf-8": tar((info("caf\udce9_W1.flac"), audio(container="FLAC"))),
        "only json": tar((info("a_W1.json"), b'{"text": "x"}')),
        "same name thrice": tar(*((info("a_W1.flac"), audio(container="FLAC")) for _ in range(3))),
        "empty members": tar((info("a_W1.json"), b""), (info("a_W1.mp3"), b"")),
    }


def test_bad_tars_are_rows(tmp_path):
    for number, content in enumerate(bad_tars().values()):
        put(tmp_path / f"corpus/EN-B{number:06d}.tar", content)
    os.mkfifo(tmp_path / "corpus/EN-pipe.tar")
    (tmp_path / "corpus/EN-loop.tar").symlink_to("EN-loop.tar")
    found: dict[str, set[str | None]] = {}
    for row in ingest("emilia", tmp_path / "corpus", Lake(tmp_path / "lake")):
        found.setdefault(Path(row["path"]).name, set()).add(row["drop_reason"])
    assert len(found) == len(bad_tars()) + 2
    assert found["EN-pipe.tar"] == {"not_a_file"}
    assert found["EN-loop.tar"] == {"unreadable"}
    names = list(bad_tars())
    assert found[f"EN-B{names.index('same name thrice'):06d}.tar"] >= {"duplicate_member"}
    for name in ("links", "devices", "folders only", "zeros"):
        assert found[f"EN-B{names.index(name):06d}.tar"] == {"no_recordings"}, name


def test_a_reader_that_raises_costs_its_source_alone(tmp_path, monkeypatch):
    for name in ("a", "b", "c"):
        put(tmp_path / f"corpus/{name}.wav", audio(np.random.default_rng(ord(name)).normal(0, 0.1, 999)))
    import manifests.corpora.folder as folder

    inspect = folder.inspect_file

    def inspect_or_raise(path, *arguments):
        if path.endswith("b.wav"):
            raise ZeroDivisionError("a fault that nobody foresaw")
        return inspect(path, *arguments)

    monkeypatch.setattr(folder, "inspect_file", inspect_or_raise)
    rows = ingest("folder", tmp_path / "corpus", Lake(tmp_path / "lake"))
    assert reasons(rows) == {"a.wav": None, "b.wav": "failed", "c.wav": None}
    (failed,) = (row["drop_detail"] for row in rows if row["drop_reason"] == "failed")
    assert failed == "ZeroDivisionError: a fault that nobody foresaw"
