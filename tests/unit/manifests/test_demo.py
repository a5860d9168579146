"""The demo corpus: small enough, honest about what it is, and laid out in the published formats."""

import hashlib
import json
import math
import tarfile
from itertools import islice

import numpy as np
import pytest
import soundfile
from corpora import rows_of

from manifests import open_corpus
from manifests.demo.clips import HELD_OUT, demo_clips, demo_folder
from manifests.demo.layout import CLIPS_PER_CHAPTER, LIBRILIGHT_VOICES, lay_out_demo


def test_every_clip_of_the_table_is_there_and_nothing_else():
    clips = list(demo_clips())
    files = [path for path in (demo_folder() / "audio").iterdir() if path.suffix == ".ogg"]
    assert sorted(clip.path for clip in clips) == sorted(files)
    assert sum(path.stat().st_size for path in files) < 6_000_000
    assert len({clip.id for clip in clips}) == len({clip.path.read_bytes() for clip in clips}) == len(clips) == 584
    for clip in clips[::50]:
        header = soundfile.info(clip.path)
        assert (header.samplerate, header.channels) == (24000, 1)
        assert header.frames / header.samplerate == pytest.approx(clip.duration, abs=1e-3)


def test_held_out_voices_are_not_training_voices():
    voices = {split: {clip.speaker for clip in demo_clips() if clip.split == split} for split in ("main", HELD_OUT)}
    assert (len(voices["main"]), len(voices[HELD_OUT])) == (20, 8)
    assert not voices["main"] & voices[HELD_OUT]
    assert set(LIBRILIGHT_VOICES) < voices["main"]


@pytest.fixture(scope="module")
def some_clips():
    """A few voices of each sort: laying out all of them takes longer than a unit test may."""
    clips = list(demo_clips())
    held_out = sorted({clip.speaker for clip in clips if clip.split == HELD_OUT})[:2]
    counts = dict.fromkeys(LIBRILIGHT_VOICES[:2], CLIPS_PER_CHAPTER + 1) | dict.fromkeys(
        ("af_heart", "am_puck", *held_out), 3
    )
    return [
        clip for voice in sorted(counts) for clip in islice((c for c in clips if c.speaker == voice), counts[voice])
    ]


@pytest.fixture(scope="module")
def layout(some_clips, tmp_path_factory):
    return lay_out_demo(tmp_path_factory.mktemp("demo"), clips=some_clips)


def state_of(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(str(p.relative_to(folder)), p.stat().st_mtime_ns, hashlib.md5(p.read_bytes()).hexdigest()) for p in files]


def test_a_second_layout_touches_nothing_and_a_new_one_has_the_same_bytes_and_times(layout, some_clips, tmp_path):
    folder = layout.emilia.parent
    before = state_of(folder)
    inodes = [path.stat().st_ino for path in sorted(folder.rglob("*"))]
    assert lay_out_demo(folder, clips=some_clips) == layout
    assert state_of(folder) == before
    assert [path.stat().st_ino for path in sorted(folder.rglob("*"))] == inodes
    lay_out_demo(tmp_path, clips=some_clips)
    assert state_of(tmp_path) == before


def test_a_damaged_file_is_written_again(layout, some_clips):
    folder = layout.emilia.parent
    before = state_of(folder)
    chapter = next(layout.librilight.rglob("*.flac"))
    chapter.write_bytes(b"half")
    next(layout.librilight.rglob("*.json")).unlink()
    lay_out_demo(folder, clips=some_clips)
    assert state_of(folder) == before


def test_the_tars_hold_every_text_with_the_published_keys(layout, some_clips):
    rows = rows_of(open_corpus("emilia", layout.emilia))
    expected = [clip for clip in some_clips if clip.speaker not in LIBRILIGHT_VOICES]
    assert sorted(row.text for row in rows) == sorted(clip.text for clip in expected)
    assert {(row.subset, row.language, row.sample_rate, row.drop_reason) for row in rows} == {("EN", "en", 24000, None)}
    with tarfile.open(layout.emilia / "Emilia/EN/EN-B000000.tar") as archive:
        first, second = archive.next(), archive.next()
        sidecar = json.load(archive.extractfile(first))
    assert (first.name, second.name) == ("EN_B00000_S00000_W000000.json", "EN_B00000_S00000_W000000.mp3")
    assert {"id", "wav", "text", "duration", "speaker", "language"} <= set(sidecar)


def test_the_held_out_speakers_are_exactly_those_of_the_second_tar(layout):
    rows = rows_of(open_corpus("emilia", layout.emilia))
    second = {row.speaker for row in rows if row.path.endswith("EN-B000001.tar")}
    first = {row.speaker for row in rows if row.path.endswith("EN-B000000.tar")}
    assert set(layout.held_out_speakers) == second
    assert len(second) == len(first) == 2
    assert all(speaker.endswith("1") for speaker in second) and all(speaker.endswith("0") for speaker in first)


def test_the_chapters_have_speech_where_their_voice_activity_says_so(layout):
    rows = rows_of(open_corpus("librilight", layout.librilight))
    assert {row.speaker for row in rows} == {"librilight:9000", "librilight:9001"}
    assert all(row.text is None and row.sample_rate == 16000 and row.drop_reason is None for row in rows)
    assert sum(row.snr is None for row in rows) == 2
    assert len(rows) == 4
    for row in rows:
        samples, rate = soundfile.read(row.path)
        inside = np.zeros(len(samples), dtype=bool)
        for span in row.spans:
            inside[int(span.start * rate) : math.ceil(span.end * rate)] = True
        speech, silence = np.mean(samples[inside] ** 2), np.mean(samples[~inside] ** 2)
        assert 40 < 10 * math.log10(speech / silence) < 50
        if row.snr is not None:
            assert row.snr == pytest.approx(45, abs=0.5)


def test_demo_rows_say_that_they_are_synthetic_and_free(layout):
    rows = rows_of(open_corpus("emilia", layout.emilia)) + rows_of(open_corpus("librilight", layout.librilight))
    assert {(row.origin, row.licence) for row in rows} == {("synthetic", "Apache-2.0")}
    assert all(json.loads(row.extra)["voice"] for row in rows)
