from dataclasses import replace

import numpy as np
import pytest
import soundfile

from manifests.audio.inspection import inspect_file
from tests.unit.warehouse.rows_for_tests import NOW, recording, segment
from valle.audio import AudioLocation
from valle.evaluation.items.items import EvaluationItem
from valle.evaluation.items.registry import register_items
from warehouse.catalogue.views import connect
from warehouse.fingerprints import chain
from warehouse.lake.tables import Lake
from warehouse.rows import ConfigurationRow, RecordingRow, SegmentRow

RATE = 16_000


@pytest.fixture
def audio(tmp_path):
    """Ten seconds of noise in a file."""
    path = tmp_path / "book.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.1, 0.1, 10 * RATE).astype(np.float32), RATE)
    return path


@pytest.fixture
def item(audio):
    """Seconds 2 to 5 are spoken, in the voice of seconds 6 to 8."""
    return EvaluationItem(
        utterance="u1",
        text="What is said.",
        language="en",
        speaker="ann",
        location=AudioLocation(str(audio), start_sample=2 * RATE, num_samples=3 * RATE),
        duration=3.0,
        prompt="p1",
        prompt_location=AudioLocation(str(audio), start_sample=6 * RATE, num_samples=2 * RATE),
        prompt_text="Before it.",
        prompt_duration=2.0,
        protocol="cross_sentence",
    )


def table(lake, name="evaluation_items"):
    with connect(lake.snapshot()) as connection:
        return connection.execute(f"SELECT * FROM {name} ORDER BY ALL").to_arrow_table().to_pylist()


def test_sentences_and_prompts_are_registered_once_whatever_the_trials(item, audio, tmp_path):
    lake = Lake(tmp_path / "lake")
    other = replace(item, utterance="u2")
    for _ in range(2):
        register_items([item, replace(item, trial=1), other], lake, items_hash="abc", source="a list")
    rows = table(lake)
    assert sorted((row["role"], row["utterance"]) for row in rows) == [
        ("prompt", "p1"),
        ("utterance", "u1"),
        ("utterance", "u2"),
    ]
    spoken = next(row for row in rows if row["utterance"] == "u1")
    assert (spoken["start"], spoken["duration"], spoken["text"]) == (2.0, 3.0, "What is said.")
    assert spoken["content_hash"] == inspect_file(str(audio)).content_hash
    register_items([item], lake, items_hash="def", source="another list")
    assert len(table(lake)) == 5


def test_a_member_of_an_archive_has_the_hash_of_its_own_bytes(item, audio, tmp_path):
    content = audio.read_bytes()
    archive = tmp_path / "all.tar"
    archive.write_bytes(b"x" * 512 + content + b"y" * 100)
    location = AudioLocation(str(archive), 512, len(content), 0, RATE)
    lake = Lake(tmp_path / "lake")
    register_items([replace(item, location=location)], lake, items_hash="abc", source="a list")
    spoken = next(row for row in table(lake) if row["role"] == "utterance")
    assert spoken["content_hash"] == inspect_file(str(audio)).content_hash
    assert (spoken["start"], spoken["duration"]) == (0.0, 1.0)


def test_items_without_a_recording_or_a_prompt_are_registered_by_the_rest(item, tmp_path):
    lake = Lake(tmp_path / "lake")
    bare = replace(item, location=None, duration=None, prompt="", prompt_location=None)
    gone = replace(item, utterance="u3", location=AudioLocation(str(tmp_path / "gone.wav")), prompt="")
    register_items([bare, gone], lake, items_hash="abc", source="a list")
    rows = table(lake)
    assert sorted((row["utterance"], row["content_hash"], row["start"]) for row in rows) == [
        ("u1", None, None),
        ("u3", None, None),
    ]


def test_every_segment_that_shares_audio_is_found_in_any_corpus(item, audio, tmp_path):
    lake = Lake(tmp_path / "lake")
    register_items([item], lake, items_hash="abc", source="a list")
    copy = recording("copy", content_hash=inspect_file(str(audio)).content_hash, corpus="another")
    other = recording("other", corpus="another")
    spans = {"before": (0.0, 2.0), "begin": (1.0, 2.0), "inside": (3.0, 1.0), "voice": (5.0, 1.5), "after": (8.0, 2.0)}
    segments = [
        segment(of, place, "v1", segment_id=f"{of.recording_id}-{name}", start=start, duration=seconds)
        for of in (copy, other)
        for place, (name, (start, seconds)) in enumerate(spans.items())
    ]
    lake.append(RecordingRow, [copy, other], "r")
    lake.append(SegmentRow, segments, "s")
    in_force = ConfigurationRow(
        configuration_id="c", corpus="another", stage="segment", configuration="v1", options="{}", activated_at=NOW
    )
    lake.append(ConfigurationRow, [in_force], "c")
    assert segments[0].fingerprint == chain("v1", copy.fingerprint)
    assert [(row["segment_id"], row["role"]) for row in table(lake, "evaluated_segments")] == [
        ("copy-begin", "utterance"),
        ("copy-inside", "utterance"),
        ("copy-voice", "prompt"),
    ]
