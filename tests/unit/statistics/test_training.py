import json

import numpy as np
import pytest

from valle.statistics.training import plot_training, read_metrics
from warehouse.errors import TrainingError


def metrics_file(tmp_path, records, tail=""):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records) + tail, encoding="utf-8")
    return path


def test_a_line_that_a_crash_cut_short_is_left_out(tmp_path):
    path = metrics_file(tmp_path, [{"step": 2, "loss": 3.0}, {"step": 1, "loss": 4.0}], tail='{"step": 3, "lo')
    assert read_metrics(path) == [{"step": 1.0, "loss": 4.0}, {"step": 2.0, "loss": 3.0}]


def test_a_broken_line_in_the_middle_is_named(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 2}\nnonsense\n{"step": 2, "loss": 1}\n', encoding="utf-8")
    with pytest.raises(TrainingError, match="Line 2"):
        read_metrics(path)


def test_a_missing_or_empty_file_is_one_clear_sentence(tmp_path):
    with pytest.raises(TrainingError, match="There is no"):
        read_metrics(tmp_path / "nothing.jsonl")
    with pytest.raises(TrainingError, match="has a step"):
        read_metrics(metrics_file(tmp_path, []))


def test_a_run_without_the_requested_fields_names_those_it_has(tmp_path):
    path = metrics_file(tmp_path, [{"step": 1, "lr": 0.1}])
    with pytest.raises(TrainingError, match="it has lr"):
        plot_training(path, tmp_path / "loss.png")


def test_a_loss_curve_is_drawn_with_sparse_validation(tmp_path):
    generator = np.random.default_rng(0)
    records = []
    for step in range(1, 2001):
        record = {"step": step, "loss": 7 * step**-0.15 + generator.normal(0, 0.15), "time": "now"}
        if step % 100 == 0:
            record["validation_loss"] = 7.1 * step**-0.14
        records.append(record)
    path = plot_training(metrics_file(tmp_path, records), tmp_path / "loss.png")
    assert path.read_bytes().startswith(b"\x89PNG")
