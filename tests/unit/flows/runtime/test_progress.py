"""Progress of a run reaches its log and the server, and does not depend on the server."""

import logging
import re
from uuid import UUID, uuid4

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.runtime.progress import ProgressReporter
from flows.runtime.terminal import PROGRESS, ProgressUpdate

_LOGGER = logging.getLogger("tests.progress")


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """Capture the log of a run."""
    monkeypatch.setattr("flows.runtime.progress.run_logger", lambda: _LOGGER)
    monkeypatch.setattr("flows.runtime.progress.is_on_server", lambda: True)
    caplog.set_level(logging.INFO, _LOGGER.name)
    return caplog


def updates(log: pytest.LogCaptureFixture) -> list[ProgressUpdate]:
    return [getattr(record, PROGRESS) for record in log.records if record.name == _LOGGER.name]


def test_a_server_that_is_down_does_not_end_the_run_that_reports_to_it(records: pytest.LogCaptureFixture) -> None:
    progress = ProgressReporter("quantize clips", 60.0, "s of audio", interval=0.0)
    with temporary_settings(updates={PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        for _ in range(2):
            progress.add(15.0)
    assert [update.percent for update in updates(records)] == [25.0, 50.0]
    text = updates(records)[-1].describe()
    assert re.fullmatch(r"50\.0 %, \d+ s left: 30 of 60 s of audio, [\d,.]+ a second", text)


def test_of_a_hundred_quick_shards_the_first_and_the_last_are_reported(
    records: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[float] = []

    def tell(*, progress: float, description: str, **key: object) -> UUID:
        told.append(progress)
        return uuid4()

    monkeypatch.setattr("flows.runtime.progress.create_progress_artifact", tell)
    monkeypatch.setattr("flows.runtime.progress.update_progress_artifact", tell)
    progress = ProgressReporter("quantize clips", 100.0, "shards", interval=3600.0)
    for _ in range(100):
        progress.add(1.0)
    assert told == [1.0, 100.0]
    assert [update.is_complete for update in updates(records)] == [False, True]


def test_before_anything_is_done_no_rate_is_known(records: pytest.LogCaptureFixture) -> None:
    with temporary_settings(updates={PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        ProgressReporter("ingest clips", 3.0, "shards").add(0.0)
    assert updates(records)[0].describe() == "0.0 %, no rate yet: 0 of 3 shards"
