"""A sweep: its runs, the files that it refuses, and its report."""

import json

import pytest

from flows.parameters import SweepParameters
from flows.training.sweep import format_sweep, sweep
from tests.unit.training.toy import make_toy_set
from valle.cli.flow import read_sweep
from warehouse.errors import ConfigurationError

SWEEP = {"name": "trunks", "training_set": "base", "variants": {"llama": {}, "retnet": {"trunk": "retnet"}}}


def test_the_runs_of_a_sweep_are_its_variants_times_its_seeds_on_equal_slots():
    changes = {"seeds": (0, 7), "slots": 100_000, "options": {"batch_tokens": 1000}}
    changes["variants"] = SWEEP["variants"] | {"small": {"batch_tokens": 500, "accumulate": 1}}
    runs = SweepParameters(**SWEEP | changes).runs()
    assert [run.name for run in runs[:3]] == ["trunks-llama-s0", "trunks-llama-s7", "trunks-retnet-s0"]
    assert [run.options.max_steps for run in runs] == [100, 100, 100, 100, 200, 200]
    assert [run.options.seed for run in runs[:2]] == [0, 7]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variants": {"a": {"trunkk": "llama"}}}, "trunkk"),
        ({"variants": {"A b": {}}}, "must be a name"),
        ({"variants": {}}, "a variant and a seed"),
    ],
)
def test_a_sweep_that_cannot_run_is_refused_before_its_first_run(tmp_path, change, message):
    file = tmp_path / "sweep.yaml"
    file.write_text(json.dumps(SWEEP | change))
    with pytest.raises(ConfigurationError, match=message):
        read_sweep(file, None)
    file.write_text("[")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_sweep(file, None)


def test_the_report_has_the_mean_and_the_range_of_the_seeds():
    parameters = SweepParameters(**SWEEP | {"seeds": (0, 1)})
    runs = parameters.runs()
    losses = (2.0, 2.5, 3.0, 3.0)
    empty = dict.fromkeys(("dev_loss_ar", "dev_loss_nar", "tokens_per_second", "wer", "sim_o"))
    rows = {
        run.name: {"parameters": 1234, "tokens": 50_000, "dev_loss": loss} | empty
        for run, loss in zip(runs, losses, strict=True)
    }
    lines = format_sweep(parameters, runs, rows, []).splitlines()
    assert "| variant | parameters | tokens | dev loss |" in lines
    assert "| llama | 1,234 | 50,000 | 2.25 [2, 2.5] |" in lines
    assert "| retnet | 1,234 | 50,000 | 3 |" in lines
    assert "| trunks-llama-s1 | 1,234 | 50,000 | 2.5 |" in lines


@pytest.mark.long
def test_a_sweep_trains_its_variants_and_reports_them_side_by_side(tmp_path):
    make_toy_set(tmp_path)
    options = {"model": "nano", "max_steps": 3, "batch_tokens": 300, "evaluate_every": 3, "log_every": 1, "threads": 1}
    file = tmp_path / "sweep.yaml"
    content = SWEEP | {"training_set": "toy", "options": options | {"prompt_seconds": [0.1, 0.2]}}
    file.write_text(json.dumps(content))
    report = sweep.fn(read_sweep(file, tmp_path))
    text = report.markdown_path.read_text()
    assert "| trunks-retnet-s0 |" in text
    assert [plot.path.name for plot in report.plots] == ["loss.png", "dev_loss.png"]
    again = sweep.fn(read_sweep(file, tmp_path))
    assert again.markdown_path.read_text() == text
