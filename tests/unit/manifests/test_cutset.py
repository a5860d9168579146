"""Lhotse's own lists of cuts as a corpus; the lists are written by Lhotse."""

import dataclasses
import gzip
import json

import pytest
from corpora import encoded, put, rows_of, single_row
from lhotse import CutSet, MonoCut, Recording, SupervisionSegment

from manifests import CorpusOptions, open_corpus
from tests.memory import peak_of
from warehouse.errors import ManifestError
from warehouse.rows import Span


def cut_of(root, name="a", *, start=0.0, duration=0.5, number=0, supervisions=1, path=None):
    audio = root / f"audio/{name}.flac"
    if not audio.exists():
        put(audio, encoded(seconds=2.0, pitch=200.0 + len(name) + ord(name[0])))
    recording = Recording.from_file(audio, recording_id=name)
    recording.sources[0].source = f"audio/{name}.flac" if path is None else path
    spoken = [
        SupervisionSegment(
            id=f"{name}-{number}-{index}",
            recording_id=name,
            start=0.1 * index,
            duration=0.1,
            text=f"text {index} of {name} {number}",
            speaker=f"s{name}",
            language="English",
            custom={"mood": "calm"},
        )
        for index in range(supervisions)
    ]
    return MonoCut(
        id=f"{name}-{number}", start=start, duration=duration, channel=0, recording=recording, supervisions=spoken
    )


def write(root, cuts, name="cuts.jsonl.gz"):
    CutSet.from_cuts(cuts).to_file(root / name)
    return root / name


@pytest.mark.parametrize("name", ["cuts.jsonl", "cuts.jsonl.gz"])
def test_a_cut_of_a_whole_recording_is_the_recording_with_the_text_of_its_supervision(tmp_path, name):
    row = single_row(open_corpus("cutset", write(tmp_path, [cut_of(tmp_path, duration=2.0)], name)))
    assert (row.text, row.speaker, row.language) == ("text 0 of a 0", "cutset:sa", "en")
    assert row.spans == [Span(start=0.0, end=2.0)]
    assert (row.num_samples, row.path, row.member) == (32000, str(tmp_path / "audio/a.flac"), None)
    assert json.loads(row.extra) == {"recording": "a", "cuts": ["a-0"], "mood": "calm"}


def test_the_text_of_a_part_is_not_the_text_of_the_recording(tmp_path):
    row = single_row(open_corpus("cutset", write(tmp_path, [cut_of(tmp_path, start=0.5)])))
    assert (row.text, row.spans) == (None, [Span(start=0.5, end=1.0)])
    (spoken,) = json.loads(row.extra)["supervisions"]
    assert (spoken["text"], spoken["start"]) == ("text 0 of a 0", 0.5)


def test_neighbouring_cuts_of_one_recording_are_one_row(tmp_path):
    cuts = [cut_of(tmp_path, start=0.5 * number, number=number) for number in range(3)]
    first, second = rows_of(open_corpus("cutset", write(tmp_path, [*cuts, cut_of(tmp_path, "b", supervisions=2)])))
    assert first.spans == [Span(start=0.5 * number, end=0.5 * number + 0.5) for number in range(3)]
    assert (first.text, first.speaker) == (None, "cutset:sa")
    spoken = json.loads(first.extra)["supervisions"]
    assert [item["text"] for item in spoken] == [f"text 0 of a {number}" for number in range(3)]
    assert [item["start"] for item in spoken] == [0.0, 0.5, 1.0]
    assert (second.text, len(json.loads(second.extra)["supervisions"])) == (None, 2)


def test_distant_cuts_of_one_recording_are_rows_that_do_not_count_as_duplicates(tmp_path):
    cuts = [cut_of(tmp_path), cut_of(tmp_path, "b"), cut_of(tmp_path, start=1.0, number=1)]
    rows = rows_of(open_corpus("cutset", write(tmp_path, cuts)))
    assert len({row.recording_id for row in rows}) == len({row.content_hash for row in rows}) == 3


@pytest.mark.parametrize("name", ["cuts.jsonl", "cuts.jsonl.gz"])
def test_ranges_of_a_long_list_give_every_cut_once(tmp_path, name):
    cuts = [cut_of(tmp_path, letter, start=0.1 * number, number=number) for letter in "abcdef" for number in range(4)]
    root = write(tmp_path, cuts, name)
    whole = open_corpus("cutset", root)
    cut = open_corpus("cutset", root, options=CorpusOptions(shard_megabytes=0.05))
    assert len(list(whole.find())) == 1
    assert len(list(cut.find())) == 3
    assert [row.recording_id for row in rows_of(cut)] == [row.recording_id for row in rows_of(whole)]
    assert all(len(row.spans) == 4 for row in rows_of(cut))


def test_ids_do_not_depend_on_where_the_list_lies(tmp_path):
    ids = []
    for place in ("here", "over/there"):
        root = tmp_path / place
        root.mkdir(parents=True)
        ids.append(single_row(open_corpus("cutset", write(root, [cut_of(root)]))).recording_id)
    assert ids[0] == ids[1]


def test_audio_is_found_from_a_folder_above_the_list(tmp_path):
    (tmp_path / "data/manifests").mkdir(parents=True)
    root = write(tmp_path / "data/manifests", [cut_of(tmp_path)])
    assert single_row(open_corpus("cutset", root)).drop_reason is None


def test_cuts_that_are_no_window_of_a_plain_file_are_dropped_rows(tmp_path):
    good = cut_of(tmp_path)
    mixed = good.mix(cut_of(tmp_path, "b"))
    padded = good.pad(duration=3.0)
    resampled = good.resample(8000).with_id("slow")
    remote = cut_of(tmp_path, "c")
    remote.recording.sources[0].type = "url"
    rows = rows_of(open_corpus("cutset", write(tmp_path, [mixed, remote, padded, cut_of(tmp_path, "b"), resampled])))
    assert [row.drop_reason for row in rows] == ["unsupported_cut"] * 3 + [None, "unsupported_cut"]
    assert len({row.recording_id for row in rows}) == 5


def test_missing_audio_is_a_dropped_row(tmp_path):
    row = single_row(open_corpus("cutset", write(tmp_path, [cut_of(tmp_path, path="elsewhere/x.flac")])))
    assert (row.drop_reason, row.speaker) == ("missing_file", "cutset:sa")


@pytest.mark.parametrize("line", ["{", "[1]", '"cut"', "{}", '{"recording": 3, "start": "x"}', "\x00"])
def test_a_bad_line_is_a_dropped_row_beside_the_good_ones(tmp_path, line):
    root = write(tmp_path, [cut_of(tmp_path), cut_of(tmp_path, "b")], "cuts.jsonl")
    first, second = root.read_text().splitlines()
    root.write_text(f"{first}\n\n{line}\n{second}\n")
    assert [row.drop_reason for row in rows_of(open_corpus("cutset", root))] == [None, "unsupported_cut", None]


def test_a_list_that_breaks_off_gives_the_rows_before_and_one_dropped_row(tmp_path):
    cuts = [cut_of(tmp_path, letter) for letter in "abcdefgh"]
    root = write(tmp_path, cuts, "cuts.jsonl")
    packed = gzip.compress(root.read_bytes())
    broken = put(tmp_path / "broken.jsonl.gz", packed[: len(packed) * 3 // 4])
    reasons = [row.drop_reason for row in rows_of(open_corpus("cutset", broken))]
    assert reasons[0] is None
    assert reasons.count("unsupported_cut") in (1, 2) and reasons[-1] == "unsupported_cut"


@pytest.mark.parametrize("content", [b"", b"\n\n", b"not gzip at all"])
def test_a_list_without_cuts_is_one_dropped_row(tmp_path, content):
    root = put(tmp_path / "cuts.jsonl.gz", gzip.compress(content) if content.strip() == b"" else content)
    assert single_row(open_corpus("cutset", root)).drop_reason in ("no_recordings", "unsupported_cut")


def test_a_missing_list_is_one_sentence(tmp_path):
    with pytest.raises(ManifestError, match="is not a file"):
        next(open_corpus("cutset", tmp_path / "absent.jsonl").find())


def test_listing_a_list_ten_times_as_long_takes_no_more_memory(tmp_path):
    line = json.dumps(cut_of(tmp_path).to_dict())
    peaks = []
    for size in (200, 2000):
        lines = (line.replace('"id": "a"', f'"id": "a{number}"') + "\n" for number in range(size))
        root = put(tmp_path / f"{size}.jsonl", "".join(lines))
        corpus = open_corpus("cutset", root)
        assert len(list(corpus.find())) == 1
        peaks.append(peak_of(lambda corpus=corpus: list(corpus.find())))
    assert peaks[1] < 1.5 * peaks[0] + 20_000


def supervised(root, name, windows, *, speakers=None, duration=2.0, texts=None, channel=0):
    """A cut of a whole recording with a supervision for each window, as GigaSpeech is published."""
    cut = cut_of(root, name, duration=duration, supervisions=0)
    cut.supervisions = [
        SupervisionSegment(
            id=f"{name}-{number}",
            recording_id=name,
            start=start,
            duration=end - start,
            channel=channel,
            text=texts[number] if texts else f"SENTENCE NUMBER {number} <COMMA> OF {name.upper()} <PERIOD>",
            speaker=speakers[number] if speakers else "anna",
            language="English",
        )
        for number, (start, end) in enumerate(windows)
    ]
    return cut


def test_every_supervision_of_a_long_cut_is_a_span_with_its_text(tmp_path):
    windows = [(0.0, 0.5), (0.5, 1.1), (1.3, 2.0)]
    row = single_row(open_corpus("cutset", write(tmp_path, [supervised(tmp_path, "a", windows)])))
    assert [(span.start, span.end) for span in row.spans] == windows
    assert row.span_texts == [f"sentence number {number}, of a." for number in range(3)]
    assert (row.text, row.speaker, row.language, row.drop_reason) == (None, "cutset:anna", "en", None)


def test_speakers_of_one_recording_are_rows_of_their_own(tmp_path):
    windows, speakers = [(0.0, 0.5), (0.5, 1.0), (1.0, 1.5)], ["anna", "bo", "anna"]
    rows = rows_of(open_corpus("cutset", write(tmp_path, [supervised(tmp_path, "a", windows, speakers=speakers)])))
    assert [(row.speaker, len(row.spans)) for row in rows] == [("cutset:anna", 2), ("cutset:bo", 1)]
    assert len({row.recording_id for row in rows}) == len({row.content_hash for row in rows}) == 2


def test_supervisions_of_music_are_no_spans(tmp_path):
    cuts = [
        supervised(tmp_path, "a", [(0.0, 1.0), (1.0, 2.0)], texts=["<MUSIC>", "Hello <QUESTIONMARK>"]),
        supervised(tmp_path, "b", [(0.0, 1.0), (1.0, 2.0)], texts=["<SIL>", "<NOISE>"]),
    ]
    first, second = rows_of(open_corpus("cutset", write(tmp_path, cuts)))
    assert (first.span_texts, [(span.start, span.end) for span in first.spans]) == (["Hello?"], [(1.0, 2.0)])
    assert second.drop_reason == "no_speech"


def test_a_short_supervision_in_a_long_cut_is_only_its_own_span(tmp_path):
    put(tmp_path / "audio/a.flac", encoded(seconds=8.0))
    row = single_row(open_corpus("cutset", write(tmp_path, [supervised(tmp_path, "a", [(3.0, 4.0)], duration=8.0)])))
    assert ([(span.start, span.end) for span in row.spans], row.text) == ([(3.0, 4.0)], None)
    assert row.span_texts is not None


def test_a_cut_of_one_channel_reads_that_channel(tmp_path):
    put(tmp_path / "audio/a.flac", encoded(seconds=2.0, channels=2))
    cuts = [cut_of(tmp_path, "a", start=0.0), cut_of(tmp_path, "a", start=0.5, number=1)]
    cuts[1] = dataclasses.replace(cuts[1], channel=1)
    cuts[1].supervisions[0].channel = 1
    rows = rows_of(open_corpus("cutset", write(tmp_path, cuts)))
    assert [(row.channel, row.spans[0].start) for row in rows] == [(0, 0.0), (1, 0.5)]


def test_a_span_that_is_listed_twice_counts_once(tmp_path):
    cuts = [supervised(tmp_path, "a", [(0.0, 1.0), (0.0, 1.0), (1.0, 2.0)])]
    assert len(single_row(open_corpus("cutset", write(tmp_path, cuts))).spans) == 2


def test_audio_of_a_list_that_was_made_elsewhere_is_found_by_the_end_of_its_path(tmp_path):
    cuts = [
        cut_of(tmp_path, "a", path="/old/disk/of/another/audio/a.flac"),
        cut_of(tmp_path, "b", path="x/audio/b.flac"),
    ]
    assert [row.drop_reason for row in rows_of(open_corpus("cutset", write(tmp_path, cuts)))] == [None, None]
    put(tmp_path / "audio/b.flac", encoded(seconds=0.7))
    other = rows_of(open_corpus("cutset", write(tmp_path, cuts)))[1]
    assert (other.drop_reason, "0.70 s, not 2.00 s" in other.drop_detail) == ("missing_file", True)


def spoken_in(root, seconds, name="a"):
    """A cut of a whole recording of `seconds` without supervisions."""
    put(root / f"{name}.flac", encoded(seconds=seconds))
    recording = Recording.from_file(root / f"{name}.flac", recording_id="a")
    recording.sources[0].source = f"{name}.flac"
    return MonoCut(id="c", start=0, duration=seconds, channel=0, recording=recording)


def test_windows_of_a_supervision_are_one_span_with_its_text(tmp_path):
    cut = spoken_in(tmp_path, 6.0)
    cut.supervisions = [
        SupervisionSegment(id=f"{start}", recording_id="a", start=start, duration=duration, text=f"text at {start}")
        for start, duration in ((0.1, 1.5), (1.7, 4.2))
    ]
    windows = CutSet.from_cuts([cut]).cut_into_windows(2.0)
    windows.to_file(tmp_path / "cuts.jsonl.gz")
    row = single_row(open_corpus("cutset", tmp_path / "cuts.jsonl.gz"))
    assert [(span.start, span.end) for span in row.spans] == [(0.1, 1.6), (1.7, 5.9)]
    assert row.span_texts == ["text at 0.1", "text at 1.7"]


def test_recordings_of_one_id_in_two_folders_are_two_rows(tmp_path):
    cuts = []
    for folder, pitch in (("x", 200.0), ("y", 300.0)):
        put(tmp_path / folder / "a.flac", encoded(seconds=1.0, pitch=pitch))
        recording = Recording.from_file(tmp_path / folder / "a.flac", recording_id="a")
        recording.sources[0].source = f"{folder}/a.flac"
        spoken = SupervisionSegment(id=folder, recording_id="a", start=0, duration=1.0, text=f"text of {folder}")
        cuts.append(MonoCut(id=folder, start=0, duration=1.0, channel=0, recording=recording, supervisions=[spoken]))
    rows = rows_of(open_corpus("cutset", write(tmp_path, cuts)))
    assert [(row.path, row.text) for row in rows] == [
        (str(tmp_path / f"{folder}/a.flac"), f"text of {folder}") for folder in ("x", "y")
    ]


def test_a_span_beyond_the_end_of_the_audio_is_a_dropped_row(tmp_path):
    cut = spoken_in(tmp_path, 2.0)
    cut.recording.duration, cut.recording.num_samples = 8.0, 8 * cut.recording.sampling_rate
    cuts = [
        dataclasses.replace(
            cut,
            id=f"{start}",
            start=start,
            duration=1.0,
            supervisions=[
                SupervisionSegment(id=f"{start}", recording_id="a", start=0, duration=1.0, text=f"at {start}")
            ],
        )
        for start in (0.0, 1.2, 1.8, 5.0)
    ]
    *dropped, row = rows_of(open_corpus("cutset", write(tmp_path, cuts)))
    assert [row.drop_reason for row in dropped] == ["truncated", "truncated"]
    assert "ends at 2.80 s, the audio at 2.00 s" in dropped[0].drop_detail
    assert row.span_texts == ["at 0.0", "at 1.2"]


def test_a_list_that_is_not_one_cut_a_line_is_one_sentence(tmp_path):
    write(tmp_path, [cut_of(tmp_path)], "cuts.json")
    with pytest.raises(ManifestError, match="lhotse copy"):
        rows_of(open_corpus("cutset", tmp_path / "cuts.json"))


def test_a_list_of_supervisions_tells_what_is_missing(tmp_path):
    line = {"id": "a", "recording_id": "a", "start": 0, "duration": 1, "text": "one"}
    (tmp_path / "supervisions.jsonl").write_text(json.dumps(line))
    row = single_row(open_corpus("cutset", tmp_path / "supervisions.jsonl"))
    assert (row.drop_reason, "join recordings and supervisions" in row.drop_detail) == ("unsupported_cut", True)
