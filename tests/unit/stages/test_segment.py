import tracemalloc
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.unit.stages.inputs import backends_with, noise, rows_of, silence, stage_input, write_wav
from valle.audio import AudioLocation, Samples
from valle.backends.registry import Backends
from valle.backends.vad import FRAME_LENGTH, FRAME_SECONDS, Probabilities, frames_of
from valle.stages.base import StageInput, WorkItem
from valle.stages.segment import Segment
from warehouse.errors import ConfigurationError
from warehouse.rows import SegmentRow, Span


class LoudIsSpeech:
    """Calls every frame over -40 dBFS speech."""

    def speech_probabilities(self, blocks: Iterable[Samples]) -> Probabilities:
        levels = [np.square(frames).mean(axis=1) for frames in frames_of(blocks)]
        return (np.concatenate(levels) > 1e-4).astype(np.float32)

    def speech_spans(self, samples: Samples) -> list[Span]:
        raise AssertionError("the stage streams")


@pytest.fixture
def backends() -> Backends:
    return backends_with(vad=("silero", LoudIsSpeech()))


def segments(stage: Segment, source: StageInput, backends: Backends) -> list[SegmentRow]:
    rows = rows_of(stage, [WorkItem(source, None)], backends)
    assert rows
    return rows


def test_speech_between_pauses_becomes_segments(tmp_path: Path, backends: Backends):
    samples = np.concatenate([silence(1), noise(3), silence(2), noise(4), silence(1)])
    source = stage_input(path=write_wav(tmp_path / "a.wav", samples), duration=11.0)
    rows = segments(Segment(), source, backends)
    assert [row.cut for row in rows] == ["pause", "pause"]
    assert [row.start for row in rows] == [pytest.approx(0.9, abs=0.05), pytest.approx(5.9, abs=0.05)]
    assert [row.duration for row in rows] == [pytest.approx(3.2, abs=0.08), pytest.approx(4.2, abs=0.08)]
    assert all(row.drop_reason is None and row.fingerprint == "f" for row in rows)


def test_samples_are_counted_at_the_recordings_own_rate(tmp_path: Path, backends: Backends):
    samples = np.concatenate([silence(1, 24_000), noise(3, 24_000), silence(1, 24_000)])
    path = write_wav(tmp_path / "a.wav", samples, 24_000)
    (row,) = segments(Segment(), stage_input(path=path, duration=5.0, sample_rate=24_000), backends)
    assert row.start_sample == pytest.approx(0.9 * 24_000, abs=1500)
    assert row.num_samples == round(row.duration * 24_000)
    assert row.segment_id == f"r_{row.start_sample:010d}_{row.start_sample + row.num_samples:010d}"


def test_an_utterance_with_its_text_is_one_segment_and_needs_no_audio():
    (row,) = segments(Segment(), stage_input(path="gone.wav", duration=7.5, text="hello there"), backends_with())
    assert (row.cut, row.start, row.duration, row.drop_reason) == ("given", 0.0, 7.5, None)


def test_an_utterance_longer_than_the_limit_is_dropped_since_its_text_cannot_be_split():
    (row,) = segments(Segment(), stage_input(duration=31.0, text="a chapter"), backends_with())
    assert row.drop_reason == "too_long"


def test_a_blank_text_counts_as_none(tmp_path: Path, backends: Backends):
    path = write_wav(tmp_path / "a.wav", np.concatenate([silence(1), noise(2), silence(1)]))
    (row,) = segments(Segment(), stage_input(path=path, duration=4.0, text="  "), backends)
    assert row.cut == "pause"


def test_declared_spans_are_glued_without_reading_audio():
    spans = (Span(start=1.0, end=4.0), Span(start=4.5, end=9.0), Span(start=30.0, end=33.0))
    rows = segments(Segment(), stage_input(path="gone.wav", duration=40.0, spans=spans), backends_with())
    assert [(row.start, row.duration) for row in rows] == [
        (pytest.approx(0.9), pytest.approx(8.2)),
        (pytest.approx(29.9), pytest.approx(3.2)),
    ]


def test_a_declared_span_that_is_too_long_is_listened_to_and_split_in_its_pause(tmp_path: Path, backends: Backends):
    samples = np.concatenate([silence(2), noise(14), silence(0.4), noise(12), silence(2)])
    path = write_wav(tmp_path / "a.wav", samples)
    source = stage_input(path=path, duration=30.4, spans=(Span(start=1.95, end=28.45),))
    rows = segments(Segment(), source, backends)
    assert len(rows) == 2
    assert rows[0].start + rows[0].duration == pytest.approx(16.1, abs=0.05)
    assert rows[1].start == pytest.approx(16.3, abs=0.05)


def test_endless_speech_is_cut_by_force_where_it_is_quietest(tmp_path: Path, backends: Backends):
    loud = noise(30)
    dip = int(15.2 * 16_000) // FRAME_LENGTH * FRAME_LENGTH
    loud[dip : dip + 2 * FRAME_LENGTH] *= 0.3
    rows = segments(Segment(), stage_input(path=write_wav(tmp_path / "a.wav", loud), duration=30.0), backends)
    assert [row.cut for row in rows] == ["forced", "forced"]
    assert rows[1].start == pytest.approx(15.2, abs=2 * FRAME_SECONDS)
    assert rows[0].start_sample + rows[0].num_samples == rows[1].start_sample


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (silence(3), "silent"),
        (noise(3, level=0.005), "no_speech"),
        (np.concatenate([silence(1), noise(0.5), silence(1)]), "too_short"),
        (np.full(48_000, np.nan, np.float32), "not_finite"),
    ],
)
def test_a_recording_that_yields_nothing_says_why(tmp_path: Path, backends: Backends, samples: Samples, reason: str):
    path = write_wav(tmp_path / "a.wav", samples)
    (row,) = segments(Segment(), stage_input(path=path, duration=len(samples) / 16_000), backends)
    assert row.drop_reason == reason
    assert row.drop_detail


def test_a_missing_file_is_a_row_with_its_reason(backends: Backends):
    (row,) = segments(Segment(), stage_input(path="gone.wav"), backends)
    assert row.drop_reason == "missing_file"


def test_a_span_inside_an_archive_is_read_in_place(tmp_path: Path, backends: Backends):
    member = write_wav(tmp_path / "a.wav", np.concatenate([silence(1), noise(2), silence(1)])).read_bytes()
    (tmp_path / "archive").write_bytes(b"x" * 100 + member + b"y" * 50)
    source = stage_input(duration=4.0)
    location = AudioLocation(str(tmp_path / "archive"), offset=100, size=len(member))
    source = StageInput(**{name: getattr(source, name) for name in source.__slots__} | {"location": location})
    (row,) = segments(Segment(), source, backends)
    assert row.duration == pytest.approx(2.2, abs=0.08)


def test_options_that_cannot_work_are_refused():
    with pytest.raises(ConfigurationError, match="twice min_duration"):
        Segment(min_duration=15.0, max_duration=20.0)


def test_a_recording_eight_times_as_long_takes_no_more_memory(tmp_path: Path, backends: Backends):
    # Every sentence ends in a pause that is too short to end a segment by itself.
    sentence = np.concatenate([noise(2.6), silence(0.4)])
    peaks = []
    for minutes in (3, 24):
        path = tmp_path / f"{minutes}.flac"
        with soundfile.SoundFile(path, "w", 16_000, 1, subtype="PCM_16", format="FLAC") as sound:
            for _ in range(20 * minutes):
                sound.write(sentence)
        tracemalloc.start()
        rows = segments(Segment(), stage_input(path=path, duration=60.0 * minutes), backends)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert all(row.drop_reason is None and row.duration <= 20 for row in rows)
        assert sum(row.duration for row in rows) == pytest.approx(60 * minutes, rel=0.1)
    # Rows and levels grow a little; 24 minutes of samples alone would be 92 MB.
    assert peaks[1] < peaks[0] + 3e6 < 30e6


def test_spans_with_texts_are_given_segments_that_are_never_joined(backends: Backends):
    spans = (Span(start=0.0, end=0.4), Span(start=0.45, end=3.0), Span(start=3.0, end=30.0), Span(start=3.0, end=30.0))
    source = stage_input(duration=29.0, spans=spans, span_texts=("One.", "Two.", "Three.", "Again."))
    rows = segments(Segment(), source, backends)
    assert [(row.start, row.start + row.duration, row.cut) for row in rows] == [
        (0.0, 0.4, "given"),
        (0.45, 3.0, "given"),
        (3.0, 29.0, "given"),
    ]
    assert [(row.given_text, row.drop_reason) for row in rows] == [
        ("One.", None),
        ("Two.", None),
        ("Three.", "too_long"),
    ]


def test_spans_outside_of_the_recording_are_dropped_with_their_text(backends: Backends):
    source = stage_input(duration=5.0, spans=(Span(start=7.0, end=9.0),), span_texts=("Nothing there.",))
    (row,) = segments(Segment(), source, backends)
    assert (row.drop_reason, row.given_text, row.num_samples) == ("too_short", "Nothing there.", 0)


def test_spans_without_text_beside_others_are_joined_as_ever(tmp_path: Path, backends: Backends):
    path = write_wav(tmp_path / "a.wav", noise(10))
    spans = (Span(start=0.0, end=2.0), Span(start=4.0, end=4.8), Span(start=5.0, end=7.0))
    source = stage_input(path=path, duration=10.0, spans=spans, span_texts=("One.", None, None))
    given, found = segments(Segment(), source, backends)
    assert (given.given_text, given.start, given.duration) == ("One.", 0.0, 2.0)
    assert (found.given_text, found.cut, found.start) == (None, "pause", pytest.approx(3.9))
    (row,) = segments(Segment(use_given=False), source, backends)
    assert row.given_text is None and row.duration > 9


def test_the_channel_of_a_recording_is_the_one_that_is_measured(tmp_path: Path, backends: Backends):
    samples = np.stack([silence(5), np.concatenate([silence(1), noise(3), silence(1)])], axis=1)
    path = write_wav(tmp_path / "a.wav", samples)
    for channel, reason in ((0, "silent"), (1, None)):
        source = stage_input(path=path, duration=5.0)
        source = replace(source, location=replace(source.location, channel=channel))
        (row,) = segments(Segment(), source, backends)
        assert row.drop_reason == reason
