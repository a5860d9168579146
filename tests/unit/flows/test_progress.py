"""The progress of a run is told to the server, and does not depend on it."""

from uuid import uuid4

from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.runner import Progress


def test_a_server_that_is_down_does_not_end_the_run_that_tells_its_progress() -> None:
    progress = Progress("quantize clips", 60.0, "s of audio", uuid4())
    with temporary_settings(updates={PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        progress.add(15.0)
        progress.add(15.0)
    assert progress.describe().startswith("50.0 %: 30 of 60 s of audio")
