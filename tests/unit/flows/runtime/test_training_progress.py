"""Progress of a training comes from the lines of its metrics file."""

import json
import logging
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.runtime.terminal import PROGRESS, ProgressUpdate
from flows.runtime.training_progress import MetricsTail, TrainingProgress

_LOGGER = logging.getLogger("tests.training_progress")


def line(step: int) -> str:
    losses = {"loss": 5.0, "loss_ar": 5.1, "loss_nar": None}
    return json.dumps({"step": step, "max_steps": 40, "tokens_per_second": 900.0, "eta": 3700.0, **losses}) + "\n"


@pytest.fixture
def reported(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr("flows.runtime.progress.run_logger", lambda: _LOGGER)
    caplog.set_level(logging.INFO, _LOGGER.name)
    return caplog


def updates(log: pytest.LogCaptureFixture) -> list[ProgressUpdate]:
    return [getattr(record, PROGRESS) for record in log.records if record.name == _LOGGER.name]


def test_a_line_of_metrics_gives_percent_time_left_and_losses(
    tmp_path: Path, reported: pytest.LogCaptureFixture
) -> None:
    metrics = tmp_path / "metrics.jsonl"
    progress = TrainingProgress("base", metrics)
    with temporary_settings(updates={PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        progress.poll()  # the trainer has no metrics yet
        metrics.write_text(json.dumps({"step": 5, "dev_loss": 4.0}) + "\n" + line(10))
        progress.poll()
        progress.poll()  # nothing is new
    (update,) = updates(reported)
    assert update.name == "train base"
    assert update.describe() == "25.0 %, 1 h 1 min left: 10 of 40 steps, loss 5.000, loss_ar 5.100"


def test_the_first_and_the_last_of_many_steps_are_reported(
    tmp_path: Path, reported: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.runtime.training_progress._SECONDS_BETWEEN_UPDATES", 3600.0)
    metrics = tmp_path / "metrics.jsonl"
    progress = TrainingProgress("base", metrics)
    with temporary_settings(updates={PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        for step in range(1, 41):
            with metrics.open("a") as file:
                file.write(line(step))
            progress.poll()
    assert [update.percent for update in updates(reported)] == [2.5, 100.0]


def test_lines_that_were_there_are_skipped_and_cut_lines_wait_for_their_end(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text(line(1))
    tail = MetricsTail(metrics)
    with metrics.open("a") as file:
        file.write(line(2) + line(3)[:20])
    assert [found["step"] for found in tail.read_new()] == [2]
    with metrics.open("a") as file:
        file.write(line(3)[20:])
    assert [found["step"] for found in tail.read_new()] == [3]


def test_a_resumed_run_that_rewrites_its_file_is_followed_from_there(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text(line(1) + line(2) + line(3))
    tail = MetricsTail(metrics)
    metrics.write_text(line(1))
    assert tail.read_new() == []
    with metrics.open("a") as file:
        file.write(line(2))
    assert [found["step"] for found in tail.read_new()] == [2]
