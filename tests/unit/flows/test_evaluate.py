"""The flow `evaluate`: a form of the UI or a request of the API may not start a program."""

from pathlib import Path
from uuid import uuid4

import pytest

from flows.evaluate import evaluate
from flows.parameters import EvaluateParameters
from warehouse.errors import ConfigurationError, PipelineError


def test_a_run_of_a_deployment_starts_no_command_unless_its_server_was_started_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = tmp_path / "written"
    asked = EvaluateParameters(data=tmp_path / "data", command=f"touch {written}", training_set="none")
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", str(uuid4()))
    for value in ("", "0"):
        monkeypatch.setenv("VALLE_ALLOW_COMMANDS", value)
        with pytest.raises(ConfigurationError, match="may not start a command"):
            evaluate.fn(asked)
    assert not written.exists()
    monkeypatch.setenv("VALLE_ALLOW_COMMANDS", "1")
    with pytest.raises(PipelineError, match="none") as later:
        evaluate.fn(asked)
    assert "may not start a command" not in str(later.value)
