"""A task as a run of a server: its table is an artifact, also where a job failed."""

import asyncio
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import Artifact

from flows.speech.parameters import SpeechTaskParameters
from flows.speech.task import speech_task
from warehouse.errors import ConfigurationError

pytestmark = pytest.mark.slow


def newest_artifact(key: str) -> Artifact:
    async def read() -> list[Artifact]:
        async with get_client() as client:
            return await client.read_artifacts()

    return max((one for one in asyncio.run(read()) if one.key == key), key=lambda one: one.created or 0)


def test_the_table_of_a_task_is_an_artifact_of_its_run(tmp_path: Path, prefect_server: None) -> None:
    asked = SpeechTaskParameters(data=tmp_path, run="english", task="phonemize-text", texts=("Yes", "No"))
    folder = speech_task(asked)
    found = newest_artifact("task-phonemize-text")
    assert found.data == (folder / "report.md").read_text()
    assert "| Yes | Yes | " in str(found.data)
    with pytest.raises(ConfigurationError, match="1 of 2 failed; : There is nothing to phonemize"):
        speech_task(asked.model_copy(update={"texts": ("Yes", "")}))
    assert "There is nothing to phonemize" in str(newest_artifact("task-phonemize-text").data)
