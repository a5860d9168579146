"""Audio to listen to is found by SQL: an utterance by its id, the worst of an evaluation first."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
import soundfile

from tests.unit.queries.conftest import NOW, lake_of, small_rows
from valle.listening import WORST, describe_found_segment, read_file, read_found_utterance
from warehouse.catalogue.views import run_query
from warehouse.errors import ConfigurationError
from warehouse.listener_rows import ReviewRow
from warehouse.rows import RecordingRow, SegmentRow


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    path = tmp_path_factory.mktemp("audio") / "a1.wav"
    soundfile.write(path, np.linspace(-0.5, 0.5, 240_000), 24_000)
    rows = [
        replace(row, path=str(path)) if isinstance(row, RecordingRow) and row.recording_id == "a1" else row
        for row in small_rows()
    ]
    return lake_of(rows), path


def test_an_utterance_is_read_from_its_place_in_the_recording(lake):
    connection, path = lake
    [(segment, first, count)] = connection.execute(
        "SELECT segment_id, start_sample, num_samples FROM utterances WHERE recording_id = 'a1'"
    ).fetchall()
    found = read_found_utterance(connection, segment)
    assert found.title.startswith(f"{segment} (alpha/ann): ")
    np.testing.assert_array_equal(found.audio.samples, read_file(path).audio.samples[first : first + count])


def test_a_segment_is_described_with_its_newest_verdict_and_a_dropped_one_with_its_reason(lake):
    _, path = lake
    (segment,) = [row.segment_id for row in small_rows() if isinstance(row, SegmentRow) and row.recording_id == "a1"]
    (dropped,) = [row.segment_id for row in small_rows() if isinstance(row, SegmentRow) and row.recording_id == "a4"]
    verdicts = [
        ReviewRow(review_id=verdict, segment_id=segment, verdict=verdict, note="a door", reviewed_at=NOW + minute)
        for verdict, minute in (("good", timedelta(minutes=1)), ("bad", timedelta(minutes=2)))
    ]
    rows = [
        replace(row, path=str(path)) if isinstance(row, RecordingRow) and row.recording_id in ("a1", "a4") else row
        for row in small_rows()
    ]
    connection = lake_of([*rows, *verdicts])
    facts = describe_found_segment(connection, segment).facts
    assert (facts["verdict"], facts["note"], facts["speaker"]) == ("bad", "a door", "alpha/ann")
    assert facts["phonemes"] and "drop_reason" not in facts
    assert describe_found_segment(connection, dropped).facts["drop_reason"] == "no_speech"


def test_what_is_not_there_is_one_sentence(lake, tmp_path):
    connection, _ = lake
    with pytest.raises(ConfigurationError, match="There is no utterance 'nothing'"):
        read_found_utterance(connection, "nothing")
    lost = connection.execute("SELECT segment_id FROM utterances WHERE recording_id = 'b1'").fetchone()[0]
    with pytest.raises(ConfigurationError, match="The audio cannot be read"):
        read_found_utterance(connection, lost)
    with pytest.raises(ConfigurationError, match="The audio cannot be read"):
        read_file(tmp_path / "none.wav")


def test_the_worst_come_first_and_missing_audio_is_left_out(lake):
    connection, _ = lake
    rates = [row["wer"] for row in run_query(connection, WORST, ["", "", "", 100]).to_pylist()]
    assert len(rates) == 2
    assert rates == sorted(rates, reverse=True)
    system = run_query(connection, WORST, ["", "", "", 1]).to_pylist()[0]["system"]
    assert {row["system"] for row in run_query(connection, WORST, [system] * 3 + [9]).to_pylist()} == {system}
