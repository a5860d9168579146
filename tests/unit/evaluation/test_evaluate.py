"""Scoring from the pipeline's output: prompts without an embedding, failures with their reason, excluded texts."""

import dataclasses
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from tests.unit.queries.conftest import small_rows
from valle.audio import Audio, AudioLocation, write_audio
from valle.backends.registry import Backends
from valle.evaluation.evaluate import _prompt_embeddings, exclusion_notes, summarize
from valle.evaluation.items.item_list import ItemList
from valle.evaluation.items.items import EvaluationItem
from valle.evaluation.metrics.models import MetricModels
from valle.evaluation.metrics.rescore import rescore
from valle.evaluation.metrics.score import Output, PromptEmbeddings, ScoringRun, score
from valle.evaluation.pipeline_output import failures_of, outputs_of, read_pipeline_rows
from valle.evaluation.plan import plan_evaluation
from valle.evaluation.systems.audio_files import SystemSpeech
from valle.evaluation.systems.base import PROMPT_COPIED
from valle.evaluation.systems.control_speech import PROMPT_CODEC, find_decoders
from valle.evaluation.systems.folder import FolderSystem
from warehouse.errors import ConfigurationError
from warehouse.lake.tables import Lake
from warehouse.rows import RecordingRow, SegmentRow, TranscriptRow
from warehouse.tables import TABLES


def make_item(utterance, prompt="p0", text="Four, seven, two."):
    return EvaluationItem(
        utterance=utterance,
        text=text,
        language="en",
        speaker="ann",
        location=None,
        duration=None,
        prompt=prompt,
        prompt_location=AudioLocation(f"{prompt}.wav") if prompt else None,
        prompt_text="",
        prompt_duration=None,
        protocol="cross_sentence",
    )


@pytest.fixture
def plan_of(tmp_path):
    """Plan the evaluation of a folder on items."""
    write_audio(tmp_path / "peer" / "u0.wav", Audio(np.full(800, 0.1, np.float32), 800))

    def make(*items):
        return plan_evaluation(
            ItemList(protocol="cross_sentence", source="test", items=items),
            FolderSystem(tmp_path / "peer", "peer"),
            models=MetricModels(),
            decoders=find_decoders("mini", Backends()),
        )

    return make


def speech_file(utterance, system="peer", failure=None):
    return SystemSpeech(
        system=system,
        utterance=utterance,
        trial=0,
        path=Path(f"evaluation/{system}/{utterance}-0.flac"),
        failure=failure,
    )


def row(**changes):
    names = ("quality_model", "dnsmos_ovrl", "dnsmos_p808", "distillmos", "failure", "failure_detail")
    return (
        dict.fromkeys(names)
        | {
            "content_hash": "c",
            "duration": 1.0,
            "asr_text": "four",
            "embedding": [1.0, 0.0],
        }
        | changes
    )


def test_prompts_without_an_embedding_are_named_before_anything_is_scored(plan_of):
    plan = plan_of(make_item("u0", "p0"), make_item("u1", "p1"))
    files = {PROMPT_COPIED: [speech_file("u0", PROMPT_COPIED), speech_file("u1", PROMPT_COPIED)], PROMPT_CODEC: []}
    rows = {str(file.path): row() for file in files[PROMPT_COPIED]}
    assert set(_prompt_embeddings(plan, files, rows).recorded) == {"p0", "p1"}
    rows[str(files[PROMPT_COPIED][1].path)] = row(embedding=None)
    with pytest.raises(ConfigurationError, match="1 prompts of the list have no speaker embedding, such as p1"):
        _prompt_embeddings(plan, files, rows)


def test_a_list_of_texts_without_prompts_needs_no_embedding(plan_of):
    files = {PROMPT_COPIED: [], PROMPT_CODEC: []}
    assert _prompt_embeddings(plan_of(make_item("u0", "")), files, {}).recorded == {}


def test_a_prompt_in_a_language_that_the_asr_lacks_still_has_its_embedding(plan_of):
    files = {PROMPT_COPIED: [speech_file("u0", PROMPT_COPIED)], PROMPT_CODEC: []}
    rows = {str(files[PROMPT_COPIED][0].path): row(asr_text=None, failure="wrong_language")}
    assert set(_prompt_embeddings(plan_of(make_item("u0")), files, rows).recorded) == {"p0"}


def test_speech_that_a_stage_dropped_is_missing_with_its_reason():
    files = [speech_file(name) for name in "abc"] + [speech_file("d", failure="out of memory")]
    rows = {
        str(files[0].path): row(),
        str(files[1].path): row(asr_text=None, failure="too_long", failure_detail="200.0 s"),
    }
    assert [output.utterance for output in outputs_of(files, rows)] == ["a"]
    assert failures_of(files, rows) == {
        ("b", 0): "too_long: 200.0 s",
        ("c", 0): "its file was not processed",
        ("d", 0): "out of memory",
    }


@pytest.mark.parametrize(
    ("row_class", "key", "changes", "expected"),
    [
        (SegmentRow, "a3:0", {"drop_reason": "too_long", "drop_detail": "200.0 s"}, ("too_long", "200.0 s")),
        (RecordingRow, "a3", {"drop_reason": "undecodable", "drop_detail": "bad"}, ("undecodable", "bad")),
        (
            TranscriptRow,
            "a3:0",
            {"drop_reason": "wrong_language", "drop_detail": "fr", "asr_text": None},
            ("wrong_language", "fr"),
        ),
        (TranscriptRow, "a3:0", {"drop_reason": "no_speech", "asr_text": ""}, (None, None)),
    ],
)
def test_the_lake_names_the_stage_reason_of_speech_without_a_transcription(
    plan_of, tmp_path, row_class, key, changes, expected
):
    lake = Lake(tmp_path / "lake")
    rows = [replace(row, asr_text="words") if isinstance(row, TranscriptRow) else row for row in small_rows()]
    rows = [
        replace(row, **changes) if isinstance(row, row_class) and getattr(row, row_class.key) == key else row
        for row in rows
    ]
    for table in TABLES:
        lake.append(table, [row for row in rows if isinstance(row, table)], "rows")
    processed = read_pipeline_rows(replace(plan_of(make_item("u0")), name="alpha", controls="beta"), lake)
    assert (processed["a3.flac"]["failure"], processed["a3.flac"]["failure_detail"]) == expected
    assert processed["a1.flac"]["failure"] is None
    assert processed["b3.flac"]["failure"] == "undecodable"


def test_the_summary_names_the_normaliser_and_counts_missing_speech(make_row):
    rows = [
        make_row(hypothesis="one two three for"),
        make_row(utterance="u1", hypothesis="", path=None, sim_o=None),
        make_row("codec"),
    ]
    expected = "model: 62.50 % micro WER under zip-ls/1, SIM-o 0.250, 1 of 2 utterances without speech"
    assert summarize(rows, "model") == expected


def test_spellings_are_scored_as_the_published_normalisers_say(make_row):
    """Transcripts of a corpus agree in any spelling; scores do not, or published numbers would change."""
    run = ScoringRun(
        evaluation="e", system="s", checkpoint_id=None, asr_model="a", speaker_model="b",
        scored_at=datetime(2026, 1, 1, tzinfo=UTC), normaliser="zip-ls",
    )  # fmt: skip
    item = make_item("u0", text="Okay, do not colour NASA.")
    output = Output(
        utterance="u0", trial=0, path="x", duration=1.0, transcription="OK, don't color N A S A.", embedding=None
    )
    rows = rescore(score([item], [output], prompts=PromptEmbeddings(recorded={}), run=run))
    errors = {row.normaliser: (row.word_errors, row.num_words) for row in rows}
    assert errors == {
        "zip-ls/1": (7, 5),
        "valle-en/1": (7, 5),
        "seed/1": (7, 5),
        "f5/1": (7, 5),
        "whisper-en/1": (5, 5),
        "nemo-hubert/1": (7, 5),
        "librispeech/1": (7, 5),
        "multilingual/1": (7, 5),
    }


def test_a_text_without_words_is_excluded_and_named(plan_of):
    whole = plan_of(make_item("u0"))
    plan = plan_of(make_item("u0"), make_item("u1", text="..."), make_item("u2", text="♪♪"))
    assert plan.excluded == ("u1", "u2")
    assert plan.items == dataclasses.replace(whole.items, items=plan.items.items)
    assert plan.name == whole.name
    assert exclusion_notes(whole) == ()
    (note,) = exclusion_notes(plan)
    assert note.startswith("2 utterances are excluded") and note.endswith("`u1`, `u2`.")
    with pytest.raises(ConfigurationError, match="leaves no word of any of the 1 texts"):
        plan_of(make_item("u1", text="..."))
