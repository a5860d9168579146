"""Filters, curves, commands and starts of the tabs of the page, without a browser."""

import json
import os

import pytest

pytest.importorskip("gradio")

import gradio

from valle.cli.start_training import TrainCommand
from valle.data_root import DataRoot
from valle.training.commands import FileCommands
from valle.training.options import TrainSettings
from valle.ui.data import filter_sql
from valle.ui.training import build_training, find_examples, give_command, read_curves
from warehouse.catalogue.views import connect, run_select
from warehouse.errors import ConfigurationError


@pytest.mark.parametrize("shown", ["utterances", "bad", "dropped"])
def test_filters_are_one_select_and_their_values_are_no_sql(tmp_path, shown):
    root = DataRoot(tmp_path)
    sql = filter_sql(shown, "it's", "'; DROP VIEW utterances; --", "a' OR 'b", 3.5)
    with connect(root.lake.snapshot()) as connection:
        assert run_select(connection, sql, lake=root.lake).num_rows == 0
    assert "'it''s'" in sql


def test_curves_have_numbers_by_codebook_and_leave_out_a_line_that_is_being_written(tmp_path):
    lines = [{"step": 1, "loss": 2.0, "top10_nar_by_codebook": {"1": 0.5}, "note": "x"}, {"step": 2, "loss": 1.5}]
    file = tmp_path / "metrics.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 3, "lo')
    assert read_curves(file) == {"loss": [(1, 2.0), (2, 1.5)], "top10_nar_by_codebook.1": [(1, 0.5)]}
    assert read_curves(tmp_path / "nothing") == {}


def test_a_command_reaches_the_trainer_of_the_run(tmp_path):
    root = DataRoot(tmp_path)
    with pytest.raises(ConfigurationError, match="There is no run 'first'"):
        give_command(root, "first", "save")
    (root.runs / "first").mkdir(parents=True)
    give_command(root, "first", "save")
    give_command(root, "first", "quit")
    assert FileCommands(root.runs / "first" / "commands").poll() == ["save", "quit"]


def test_no_update_of_the_page_of_a_training_starts_the_next_one(tmp_path):
    with gradio.Blocks() as page:
        build_training(DataRoot(tmp_path), None)
    functions = page.fns.values()
    assert any(function.targets for function in functions)
    for function in functions:
        written = {component._id for component in function.outputs}
        assert not [event for component, event in function.targets if event == "change" and component in written]


def test_the_newest_examples_are_found(tmp_path):
    root = DataRoot(tmp_path)
    for step in ("step-00000010", "step-00000020"):
        folder = root.runs / "first" / "audio" / step
        folder.mkdir(parents=True)
        (folder / "a.wav").touch()
    assert [label for label, _ in find_examples(root, "first")] == ["step-00000020: a"]


def test_a_run_is_started_as_a_process_of_its_own_with_the_options_of_the_form(tmp_path, monkeypatch):
    root = DataRoot(tmp_path)
    start = TrainCommand(root)
    with pytest.raises(ConfigurationError, match="no training set 'small'"):
        start("small", "first", TrainSettings())
    (root.training_sets / "small").mkdir(parents=True)
    (root.training_sets / "small" / "set.json").touch()
    with pytest.raises(ConfigurationError, match="pattern"):
        start("small", "../first", TrainSettings())
    started = []
    monkeypatch.setattr("subprocess.Popen", lambda command, **options: started.append((command, options)))
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect.example/api")
    told = start("small", "first", TrainSettings(model="nano", max_steps=3))
    assert told.startswith("first is started on the Prefect server http://prefect.example; its log is ")
    ((command, options),) = started
    config = json.loads((root.runs / "first" / "started.yaml").read_text())
    assert command[-3:] == ["--config", str(root.runs / "first" / "started.yaml"), "train"]
    assert config["options"] == {"model": "nano", "max_steps": 3}
    assert options["start_new_session"] and options["env"]["PREFECT_API_URL"] == os.environ["PREFECT_API_URL"]
