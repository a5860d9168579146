"""Several runs in one figure."""

import json

import pytest

from valle.statistics.runs import _points, plot_runs
from warehouse.errors import ConfigurationError


def run_with(directory, *lines):
    directory.mkdir(parents=True)
    (directory / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return directory


def test_runs_are_drawn_over_any_metric(tmp_path):
    runs = {
        name: run_with(tmp_path / name, {"step": 1, "tokens": 10, "loss": 3.0}, {"step": 1, "dev_loss": 2.5})
        for name in ("a", "b")
    }
    plot = plot_runs(runs, tmp_path / "plot.png", x="tokens", fields=["loss", "dev_loss"])
    assert plot.path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ConfigurationError, match="metric wer; there are dev_loss, loss, step, tokens"):
        plot_runs(runs, tmp_path / "plot.png", x="tokens", fields=["wer"])


def test_an_evaluation_has_the_tokens_of_the_step_before_it():
    lines = [{"step": 1, "tokens": 10, "loss": 3.0}, {"step": 1, "dev_loss": 2.5}, {"step": 2, "tokens": 20, "loss": 2}]
    assert _points(lines, "tokens", "dev_loss") == [(10, 2.5)]
    assert _points(lines, "tokens", "loss") == [(10, 3.0), (20, 2)]
