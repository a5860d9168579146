"""Scoring from the pipeline's output: prompts without an embedding, failures with their reason, excluded texts."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from valle.audio import Audio, AudioLocation, write_audio
from valle.backends.registry import Backends
from valle.evaluation.evaluate import _prompt_embeddings, exclusion_notes
from valle.evaluation.items.item_list import ItemList
from valle.evaluation.items.items import EvaluationItem
from valle.evaluation.metrics.models import MetricModels
from valle.evaluation.pipeline_output import failures_of, outputs_of
from valle.evaluation.plan import plan_evaluation
from valle.evaluation.systems.audio_files import SpeechFile
from valle.evaluation.systems.base import PROMPT_COPIED
from valle.evaluation.systems.control_speech import PROMPT_CODEC, find_decoders
from valle.evaluation.systems.folder import FolderSystem
from warehouse.errors import ConfigurationError


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
    return SpeechFile(
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
