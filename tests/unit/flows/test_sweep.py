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
    rows = {
        run.name: {"parameters": 1234, "tokens": 50_000, "dev_loss": loss, "wer": None, "by_codebook": {"1": loss + 1}}
        for run, loss in zip(runs, losses, strict=True)
    }
    rows["trunks-llama-s0"] |= {"frames_per_second": 812.3, "megabytes_kept": 1.83}
    lines = format_sweep(parameters, runs, rows, []).splitlines()
    assert "| variant | parameters | tokens | dev loss | difference | frames per second | megabytes kept |" in lines
    assert "| llama | 1,234 | 50,000 | 2.25 [2, 2.5] | - | 812.3 | 1.83 |" in lines
    # Paired by seed: 3 - 2 and 3 - 2.5.
    assert "| retnet | 1,234 | 50,000 | 3 | 0.75 [0.5, 1] | - | - |" in lines
    assert "| trunks-llama-s1 | 1,234 | 50,000 | 2.5 | - | - |" in lines
    assert lines[lines.index("## Dev loss of the NAR by codebook") + 2] == "| variant | codebook 1 |"
    assert "| llama | 3.25 [3, 3.5] |" in lines


@pytest.mark.long
def test_a_sweep_trains_its_variants_and_reports_them_side_by_side(tmp_path):
    make_toy_set(tmp_path)
    options = {"model": "nano", "max_steps": 3, "batch_tokens": 300, "evaluate_every": 3, "log_every": 1, "threads": 1}
    file = tmp_path / "sweep.yaml"
    content = SWEEP | {"training_set": "toy", "options": options | {"prompt_seconds": [0.1, 0.2]}, "decode_frames": 4}
    file.write_text(json.dumps(content))
    parameters = read_sweep(file, tmp_path)
    report = sweep.fn(parameters)
    text = report.markdown_path.read_text()
    assert "| frames per second | megabytes kept |" in text
    assert "| trunks-retnet-s0 |" in text
    assert [plot.path.name for plot in report.plots] == ["loss.png", "dev_loss.png"]
    untimed = parameters.model_copy(update={"decode_frames": 0})
    texts = [sweep.fn(untimed).markdown_path.read_text() for _ in range(2)]
    assert texts[0] == texts[1]
