"""Rows as Lhotse manifests: Lhotse itself reads and validates them."""

import dataclasses
import gzip
import json

import lhotse
import numpy as np
import pytest
import soundfile
from corpora import chapter_sidecar, encoded, put, put_chapter, put_tar, rows_of, single_row, utterance
from lhotse.features.io import READER_BACKENDS, FeaturesReader
from lhotse.serialization import deserialize_item

from manifests import CorpusOptions, open_corpus
from manifests.lhotse_codes import CODES_STORAGE, CodesPlace, codes_cut_line, write_lines
from manifests.lhotse_lines import AudioFacts, facts_of, write_manifests
from warehouse.model_rows import TrainingItemRow


def load(path):
    loaded = lhotse.load_manifest(path)
    lhotse.validate(loaded)
    return list(loaded)


def test_members_of_a_tar_load_through_lhotse_as_they_are(tmp_path):
    root = tmp_path / "it's a corpus"
    put_tar(root / "EN-B000000.tar", utterance("EN_B00000_S00000_W000000") + utterance("EN_B00000_S00010_W000000"))
    rows = rows_of(open_corpus("emilia", root))
    paths = write_manifests(rows, tmp_path / "out", corpus="emilia", subset="EN")
    assert paths.recordings.name == "emilia_recordings_EN.jsonl.gz"
    recordings, supervisions, cuts = load(paths.recordings), load(paths.supervisions), load(paths.cuts)
    for row, recording, supervision, cut in zip(rows, recordings, supervisions, cuts, strict=True):
        assert recording.id == supervision.recording_id == cut.recording_id == row.recording_id
        assert (supervision.text, supervision.speaker, supervision.language) == (row.text, row.speaker, "en")
        assert supervision.custom["dnsmos"] == 3.2
        with open(row.path, "rb") as tar:  # noqa: PTH123
            tar.seek(row.offset)
            put(tmp_path / "member.mp3", tar.read(row.size))
        samples, _ = soundfile.read(tmp_path / "member.mp3", dtype="float32")
        np.testing.assert_allclose(cut.load_audio()[0], samples, atol=1e-4)


def test_spans_become_supervisions_without_text_and_dropped_rows_stay_out(tmp_path):
    put_chapter(tmp_path, "small/1/b/good", sidecar=chapter_sidecar())
    put_chapter(tmp_path, "small/1/b/bad", sidecar=chapter_sidecar(), audio=b"")
    rows = rows_of(open_corpus("librilight", tmp_path))
    paths = write_manifests(rows, tmp_path / "out", corpus="librilight", subset="small")
    (cut,) = load(paths.cuts)
    assert [(s.start, s.duration, s.text) for s in cut.supervisions] == [(0.0, 0.24, None), (0.32, 0.16, None)]
    assert len(load(paths.recordings)) == 1


def test_wide_audio_validates(tmp_path):
    put(tmp_path / "wide.wav", encoded("WAV", channels=8))
    rows = rows_of(open_corpus("folder", tmp_path, options=CorpusOptions(channels="mix")))
    (cut,) = load(write_manifests(rows, tmp_path / "mix", corpus="folder", subset="all").cuts)
    assert cut.load_audio().shape == (8, 8000)
    rows = rows_of(open_corpus("folder", tmp_path, options=CorpusOptions(channels="split")))
    cuts = load(write_manifests(rows, tmp_path / "split", corpus="folder", subset="all").cuts)
    assert [(cut.channel, cut.supervisions[0].channel, cut.load_audio().shape) for cut in cuts] == [
        (channel, channel, (1, 8000)) for channel in range(8)
    ]


@pytest.mark.parametrize("channels", ["mix", "split"])
def test_lines_are_those_that_lhotse_writes(tmp_path, channels):
    put(tmp_path / "corpus/two.wav", encoded("WAV", channels=2))
    put(tmp_path / "corpus/two.txt", "Two words.")
    rows = rows_of(open_corpus("folder", tmp_path / "corpus", options=CorpusOptions(channels=channels, language="en")))
    paths = write_manifests(rows, tmp_path / "out", corpus="folder", subset="all")
    for path in (paths.recordings, paths.supervisions, paths.cuts):
        lines = [json.dumps(item.to_dict(), ensure_ascii=False) for item in load(path)]
        # Equal but for the spaces between fields.
        written = map(json.loads, gzip.decompress(path.read_bytes()).decode().splitlines())
        assert [json.dumps(line, ensure_ascii=False) for line in written] == lines


def test_the_text_of_a_span_is_that_of_its_supervision(tmp_path):
    put_chapter(tmp_path, "small/1/b/good", sidecar=chapter_sidecar())
    row = dataclasses.replace(single_row(open_corpus("librilight", tmp_path)), span_texts=["One.", None])
    (cut,) = load(write_manifests([row], tmp_path / "out", corpus="librilight", subset="small").cuts)
    assert [supervision.text for supervision in cut.supervisions] == ["One.", None]


def test_writing_streams_and_gives_equal_bytes_and_no_half_file(tmp_path):
    put_chapter(tmp_path, sidecar=chapter_sidecar())
    row = single_row(open_corpus("librilight", tmp_path))
    first, second = (write_manifests([row], tmp_path / place, corpus="c", subset="p") for place in ("one", "two"))
    for name in ("recordings", "supervisions", "cuts"):
        assert getattr(first, name).read_bytes() == getattr(second, name).read_bytes()

    def failing():
        yield row
        raise RuntimeError("the lake went away")

    with pytest.raises(RuntimeError):
        write_manifests(failing(), tmp_path / "three", corpus="c", subset="p")
    assert list((tmp_path / "three").iterdir()) == []


def item_of(**changes):
    values = {
        "training_set": "set-1",
        "segment_id": "seg",
        "recording_id": "rec",
        "corpus": "c",
        "speaker": "c:1",
        "language": "en",
        "licence": "CC0-1.0",
        "split": "train",
        "weight": 1.0,
        "duration": 1.25,
        "text": "some words",
        "symbols": ["s", "ʌ", "m"],
        "num_frames": 94,
        "codes_file": "codes/part-1.parquet",
        "codes_row_group": 3,
        "codes_row": 17,
        "similar": None,
    }
    return TrainingItemRow(**(values | changes))


class RampReader(FeaturesReader):
    """Stands for the reader of the lake: frame t of codebook q is 100 t + q."""

    name = CODES_STORAGE

    def __init__(self, path):
        assert path == "lake/codes/part-1.parquet"

    def read(self, key, left_offset_frames=0, right_offset_frames=None):
        assert key == "3:17"
        return (100 * np.arange(94)[:, None] + np.arange(8))[left_offset_frames:right_offset_frames]


def cut_of(item, facts, place):
    """The cut that Lhotse reads from a line; written by Lhotse, it is the same line."""
    line = codes_cut_line(dataclasses.asdict(item), facts, place)
    cut = deserialize_item(json.loads(json.dumps(line)))
    assert json.dumps(cut.to_dict()) == json.dumps(line)
    return cut


@pytest.fixture
def codes_cut_of_a_segment(tmp_path, monkeypatch):
    put(tmp_path / "a.flac", encoded(seconds=3.0))
    row = single_row(open_corpus("folder", tmp_path))
    monkeypatch.setitem(READER_BACKENDS, CODES_STORAGE, RampReader)
    facts = dataclasses.replace(facts_of(row), start=1.5)
    return cut_of(
        item_of(), facts, CodesPlace(path="lake/codes/part-1.parquet", num_codebooks=8, frame_rate=75.0, codec="mini@1")
    )


def test_a_cut_with_codes_survives_the_file_and_loads_its_codes_and_audio(tmp_path, codes_cut_of_a_segment):
    assert write_lines([codes_cut_of_a_segment.to_dict()], tmp_path / "out/cuts.jsonl.gz") == 1
    (cut,) = load(tmp_path / "out/cuts.jsonl.gz")
    assert cut.load_codes().shape == (94, 8)
    assert cut.load_codes()[0, 7] == 7
    assert cut.load_audio().shape == (1, 20000)
    (supervision,) = cut.supervisions
    assert (supervision.text, supervision.speaker, supervision.symbols) == ("some words", "c:1", ["s", "ʌ", "m"])


def test_a_truncated_cut_loads_the_codes_of_its_own_span(codes_cut_of_a_segment):
    part = codes_cut_of_a_segment.truncate(offset=0.4, duration=0.8)
    assert part.load_codes().shape == (60, 8)
    assert part.load_codes()[0, 0] == 3000


def test_a_cut_never_reaches_past_its_recording():
    facts = AudioFacts(path="a.flac", sample_rate=16000, num_samples=16000, start=0.5)
    cut = cut_of(item_of(duration=0.6), facts, CodesPlace(path="p", num_codebooks=8, frame_rate=75.0, codec="mini@1"))
    lhotse.validate(cut)
    assert cut.end == 1.0
