"""The progress of a run is told to the server, and does not depend on it."""

import logging
import re
from uuid import uuid4

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.runtime.runner import Progress


def test_a_server_that_is_down_does_not_end_the_run_that_tells_its_progress() -> None:
    progress = Progress("quantize clips", 60.0, "s of audio", uuid4())
    with temporary_settings(updates={PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        for _ in range(2):
            progress.add(15.0)
            progress.tell(logging.getLogger(__name__), at_once=True)
    assert re.fullmatch(r"50\.0 %, \d+ s left: 30 of 60 s of audio, [\d,.]+ a second", progress.describe())


def test_a_hundred_quick_shards_are_told_when_the_first_and_the_last_is_done(
    caplog: pytest.LogCaptureFixture,
) -> None:
    progress = Progress("quantize clips", 100.0, "shards", uuid4())
    with (
        temporary_settings(updates={PREFECT_API_URL: "http://127.0.0.1:9/api"}),
        caplog.at_level(logging.INFO, __name__),
    ):
        for number in range(100):
            progress.add(1.0)
            progress.tell(logging.getLogger(__name__), at_once=number == 99)
    told = [record.getMessage() for record in caplog.records if record.name == __name__]
    assert told[0].startswith("quantize clips: 1.0 %")
    assert told[-1].startswith("quantize clips: 100.0 %")
    assert len(told) < 10
