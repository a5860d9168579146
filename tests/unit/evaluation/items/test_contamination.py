from dataclasses import replace

import pytest

from tests.unit.queries.conftest import small_rows
from valle.evaluation.items.contamination import SAME_SPEAKER, find_contamination
from valle.evaluation.report.lake_sections import contamination_section
from warehouse.catalogue.views import connect
from warehouse.lake.tables import Lake
from warehouse.model_rows import ScoreRow, TrainingItemRow
from warehouse.rows import SpeakerRow
from warehouse.tables import TABLES

LONG = "It was the best of times, it was the worst of times, it was the age of wisdom"


def clean(row):
    """A lake whose model `run/100` was trained on a1 and a2 and is measured on a3 and b2, with the prompt a3."""
    if isinstance(row, ScoreRow):
        return replace(row, prompt="a3:0", reference_raw=f"only spoken in {row.utterance}")
    if isinstance(row, SpeakerRow):
        return replace(row, embedding=[1.0, 0.0] if row.segment_id in ("a1:0", "a2:0") else [0.0, 1.0])
    return row


@pytest.fixture
def lake_with(tmp_path):
    """Makes a lake of the clean rows, each changed by a function."""

    def make(change=lambda row: row):
        lake = Lake(tmp_path)
        rows = [change(clean(row)) for row in small_rows()]
        for row_class in TABLES:
            lake.append(row_class, [row for row in rows if isinstance(row, row_class)], "rows")
        return lake

    return make


def scored(lake):
    with connect(lake.snapshot()) as connection:
        (found,) = find_contamination("e1", connection)
    return found


def section_of(lake):
    scores = [row for row in small_rows() if isinstance(row, ScoreRow)]
    with connect(lake.snapshot()) as connection:
        return contamination_section(scores, connection)


def changing(row_class, key, **changes):
    """Changes the rows of a class whose key, or whose segment, is `key`."""

    def change(row):
        is_meant = isinstance(row, row_class) and key in (getattr(row, row.key), getattr(row, "utterance", None))
        return replace(row, **changes) if is_meant else row

    return change


def test_a_model_trained_on_nothing_of_its_evaluation_is_clean(lake_with):
    found = scored(lake_with())
    assert (found.system, found.num_items) == ("model", 2)
    assert set(found.counts.values()) == {0}
    assert found.same_speakers == ()
    assert [(match.speaker, match.trained_speaker) for match in found.matches] == [
        ("alpha/bob", "alpha/ann"),
        ("beta/cleo", "alpha/ann"),
    ]
    assert not found.has_trained_audio


def test_a_training_set_with_an_evaluated_utterance_is_flagged(lake_with):
    lake = lake_with(changing(TrainingItemRow, "a1:0", segment_id="a3:0", recording_id="a3"))
    found = scored(lake)
    assert found.counts["utterances_trained_on"] == found.counts["items_with_trained_audio"] == 1
    assert found.counts["prompts_trained_on"] == found.counts["prompts_with_trained_audio"] == 2
    assert found.has_trained_audio
    section = section_of(lake)
    assert section.intro == "`model` was trained on audio of this evaluation: its scores are not of unseen speech."
    assert ("the utterance itself was in the training data", "1 of 2") in section.rows


def test_only_the_split_that_was_trained_on_counts(lake_with):
    def held_out(row):
        row = changing(TrainingItemRow, "a1:0", segment_id="a3:0", recording_id="a3")(row)
        return replace(row, split="test") if isinstance(row, TrainingItemRow) else row

    assert set(scored(lake_with(held_out)).counts.values()) == {0}


def test_the_same_recording_in_another_corpus_is_found(lake_with):
    """b1 has the bytes of a3, under another corpus, speaker and id."""
    found = scored(lake_with(changing(TrainingItemRow, "b1:0", split="train")))
    assert found.counts["utterances_trained_on"] == 0
    assert found.counts["items_with_trained_audio"] == found.counts["items_from_trained_recording"] == 1
    assert found.counts["items_with_trained_speaker"] == 1


@pytest.mark.parametrize(
    ("trained", "same", "near"),
    [
        ("only SPOKEN, in a3 0!", 1, 0),
        ("only spoken in a3", 0, 0),
    ],
)
def test_the_same_text_is_found_whatever_its_marks_and_case(lake_with, trained, same, near):
    counts = scored(lake_with(changing(TrainingItemRow, "a1:0", text=trained))).counts
    assert (counts["items_with_trained_text"], counts["items_with_near_text"]) == (same, near)


@pytest.mark.parametrize(
    ("trained", "near"),
    [
        (f"He read: {LONG}, and slept.", 1),
        ("the best of times it was the worst of times it was the age", 1),
        ("the best of times it was the worst", 0),
        ("the age of wisdom the best of times it was the times worst of times", 0),
    ],
)
def test_a_long_text_is_found_inside_another_by_half_of_its_runs_of_words(lake_with, trained, near):
    def change(row):
        row = changing(ScoreRow, "a3:0", reference_raw=LONG)(row)
        return changing(TrainingItemRow, "a1:0", text=trained)(row)

    counts = scored(lake_with(change)).counts
    assert (counts["items_with_trained_text"], counts["items_with_near_text"]) == (0, near)


def test_a_speaker_under_another_label_is_found_by_the_embedding(lake_with):
    lake = lake_with(changing(SpeakerRow, "a3:0", embedding=[0.99, 0.14]))
    found = scored(lake)
    (match,) = found.same_speakers
    assert (match.speaker, match.trained_speaker) == ("alpha/bob", "alpha/ann")
    assert match.cosine == pytest.approx(0.99, abs=0.01) and match.cosine >= SAME_SPEAKER
    assert found.counts["items_with_trained_speaker"] == 0
    section = section_of(lake)
    assert "not zero-shot" in section.intro
    assert section.rows[-1][1] == "1 of 2"


def test_the_speakers_of_a_published_list_are_those_of_its_control_rows(lake_with):
    def published(row):
        if not isinstance(row, ScoreRow):
            return changing(SpeakerRow, "a3:0", embedding=[1.0, 0.0])(row)
        path = "a3.flac" if row.system == "ground_truth" else row.path
        return replace(row, utterance=f"list-{row.utterance}", prompt="list-p", speaker="1089", path=path)

    (match,) = scored(lake_with(published)).matches
    assert (match.speaker, match.trained_speaker) == ("1089", "alpha/ann")
    assert match.cosine == pytest.approx(1.0)


def test_embeddings_of_two_encoders_are_never_compared(lake_with):
    def other_encoder(row):
        is_evaluated = isinstance(row, SpeakerRow) and row.segment_id in ("a3:0", "b2:0")
        return replace(row, model="wavlm") if is_evaluated else row

    lake = lake_with(other_encoder)
    assert scored(lake).matches == ()
    section = section_of(lake)
    assert section.rows[-1][1] == "not measured"


def test_of_a_system_of_unknown_lineage_nothing_is_claimed(lake_with):
    lake = lake_with(lambda row: replace(row, checkpoint_id=None) if isinstance(row, ScoreRow) else row)
    section = section_of(lake)
    assert section.rows == ()
    assert section.intro.startswith("Unknown")
