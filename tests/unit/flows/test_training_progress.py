"""What a trainer says becomes a progress artifact."""

from uuid import UUID, uuid4

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.runtime.training_progress import TrainingProgress
from valle.training.__main__ import format_line


def _line(step: int) -> str:
    measured = {"loss": 5.0, "loss_ar": 5.1, "loss_nar": 4.9, "top10_ar": 0.1, "top10_nar": 0.2}
    return format_line(
        {"step": step, "max_steps": 40, "tokens_per_second": 900.0, "padding": 0.003, "eta": 3700.0, **measured}
    )


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, str]]:
    """What reaches Prefect."""
    found: list[tuple[float, str]] = []

    def tell(*, progress: float, description: str, **where: object) -> UUID:
        found.append((progress, description))
        return uuid4()

    monkeypatch.setattr("flows.runtime.training_progress.create_progress_artifact", tell)
    monkeypatch.setattr("flows.runtime.training_progress.update_progress_artifact", tell)
    return found


def test_a_line_of_the_trainer_says_percent_time_left_and_loss(told: list[tuple[float, str]]) -> None:
    TrainingProgress("base").read(_line(10))
    ((share, text),) = told
    assert share == 25.0
    assert text.startswith("25.0 %, 1:01:40 left: step 10 of 40, loss 5.000 (ar 5.100, nar 4.900)")


def test_the_server_hears_of_the_first_and_the_last_of_many_lines_and_of_nothing_else(
    told: list[tuple[float, str]],
) -> None:
    progress = TrainingProgress("base")
    progress.read("step 5  dev loss 4.000 (ar 4.000, nar 4.000)  top-10 0.1 0.1")
    progress.read("loading")
    for step in range(1, 41):
        progress.read(_line(step))
    assert [share for share, _ in told] == [2.5, 100.0]


def test_a_server_that_is_down_does_not_end_the_training() -> None:
    with temporary_settings(updates={PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        progress = TrainingProgress("base")
        progress.read(_line(10))
        progress.read(_line(40))
    assert progress.key == "progress-train-base"
