"""Forms offer what exists: the schema as Prefect deploys it, with choices, and the validation of its server."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import is_valid, validate

from flows.evaluate import evaluate
from flows.parameters import TrainParameters
from flows.select import select
from flows.server.forms import CODECS, CORPORA, FIRST, NO_CHOICES, RUNS, SIZES, TRAINING_SETS, find_choices, form_schema
from flows.speech.task import speech_task
from flows.stages import quantize
from flows.training.sweep import sweep
from flows.training.train import train
from tests.unit.training.toy import make_toy_set
from valle.data_root import DataRoot
from valle.training.options import TrainSettings
from warehouse.rows import SourceRow

SOME = {TRAINING_SETS: ("clean",), RUNS: ("first",), CORPORA: ("libri",), SIZES: ("nano", "tiny"), CODECS: ("mini",)}
DECLARED = {"parameters": {"training_set": "base", "run": "base", "options": {"engine": "deepspeed"}}}


def deployed(flow: Any) -> dict[str, Any]:
    """Return the parameter schema that `prefect deploy` sends."""
    schema: dict[str, Any] = parameter_schema(flow.fn).model_dump_for_openapi()
    return schema


def field(schema: dict[str, Any], title: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = schema["definitions"][title]["properties"][name]
    return found


def test_training_sets_sizes_and_codecs_are_choices() -> None:
    form = form_schema(deployed(train), SOME, DECLARED)
    assert field(form, "TrainParameters", "training_set")["enum"] == ["base", "clean"]
    assert field(form, "TrainSettings", "model")["enum"] == ["nano", "tiny"]
    # A new run has a new name.
    assert "enum" not in field(form, "TrainParameters", "run")
    assert field(form_schema(deployed(select), SOME, {}), "SelectParameters", "codec")["enum"] == ["mini"]
    assert field(form_schema(deployed(quantize), SOME, {}), "QuantizeParameters", "corpus")["enum"] == ["libri"]
    speaking = field(form_schema(deployed(speech_task), SOME, {}), "SpeechTaskParameters", "run")
    assert speaking["anyOf"] == [{"type": "string", "enum": ["first"]}, {"type": "null"}]
    runs = field(form_schema(deployed(evaluate), SOME, {}), "EvaluateParameters", "run")
    assert runs["anyOf"] == [{"type": "string", "enum": ["first"]}, {"type": "null"}]


def test_where_nothing_exists_any_text_may_be_given_and_a_second_update_replaces_the_first() -> None:
    form = form_schema(deployed(train), NO_CHOICES, DECLARED)
    assert "enum" not in field(form, "TrainParameters", "training_set")
    full = form_schema(form, SOME, DECLARED)
    assert full == form_schema(deployed(train), SOME, DECLARED)
    assert form_schema(full, SOME, DECLARED) == full
    assert form_schema(full, NO_CHOICES, DECLARED) == form
    # Of another data root, beside those of this one.
    other = form_schema(full, SOME | {TRAINING_SETS: ("other",)}, DECLARED, keeps=True)
    assert field(other, "TrainParameters", "training_set")["enum"] == ["base", "clean", "other"]


def test_ten_options_come_first_and_the_rest_is_under_one_heading() -> None:
    for flow in (train, sweep):
        settings = form_schema(deployed(flow), SOME, {})["definitions"]["TrainSettings"]
        in_order = sorted(settings["properties"], key=lambda name: settings["properties"][name]["position"])
        assert tuple(in_order) == (*FIRST, "further")
        assert len(FIRST) == 10
        further = settings["properties"]["further"]["properties"]
        assert set(FIRST) | set(further) == set(TrainSettings.model_fields)
        assert [one["position"] for one in further.values()] == list(range(len(further)))


def test_the_server_accepts_what_the_form_sends_and_what_callers_sent_before() -> None:
    form = form_schema(deployed(train), SOME, DECLARED)
    of_form = {"max_steps": 5, "further": {"seed": 3, "zero_stage": 2}, "engine": "deepspeed"}
    flat = {"max_steps": 5, "seed": 3, "zero_stage": 2, "engine": "deepspeed"}
    for options in (of_form, flat):
        given = {"training_set": "clean", "run": "x", "options": options}
        validate({"parameters": given}, form, raise_on_error=True)
        assert TrainParameters.model_validate(given).options == TrainSettings(**flat)
    # The deployment's own values are those of a set that may not exist yet.
    validate(DECLARED, form, raise_on_error=True)
    for wrong in ({"training_set": "gone"}, {"options": {"model": "huge"}}, {"options": {"further": {"seed": "x"}}}):
        given = {"training_set": "clean", "run": "x", **wrong}
        assert not is_valid({"parameters": given}, form)
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        TrainParameters.model_validate({"training_set": "clean", "run": "x", "options": {"further": {"seeds": 3}}})


def test_choices_are_what_the_data_root_has(tmp_path: Path) -> None:
    make_toy_set(tmp_path)
    (tmp_path / "runs" / "first" / "checkpoints").mkdir(parents=True)
    source = SourceRow(
        source_id="s", corpus="libri", shard="0", path="a.flac", relative_path="a.flac", offset=0, size=1, etag="1",
        found_at=datetime.now(UTC),
    )  # fmt: skip
    root = DataRoot(tmp_path / "root")
    root.lake.append(SourceRow, [source], "sources")
    (tmp_path / "runs").rename(root.runs)
    (tmp_path / "training_sets").rename(root.training_sets)
    found = find_choices(root)
    assert (found[TRAINING_SETS], found[RUNS], found[CORPORA]) == (("toy",), ("english", "first"), ("libri",))
    assert "tiny" in found[SIZES]
    assert "mini" in found[CODECS]
