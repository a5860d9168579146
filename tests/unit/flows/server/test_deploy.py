"""Deploying: every declared flow, with minutes for each answer of a busy server, and one sentence when it fails."""

import os
from pathlib import Path

import pytest
from prefect.settings import Settings

from flows.server.deploy import SECONDS_TO_ANSWER, declared_deployments, deploy_flows
from flows.server.local_server import checkout
from warehouse.errors import ConfigurationError

# In place of Prefect's own command, which needs a server.
PROGRAM = """
import os, sys
print(os.environ["PREFECT_API_REQUEST_TIMEOUT"], os.environ["PWD"], *sys.argv[1:])
print("Name or service not known", file=sys.stderr)
sys.exit(int(os.environ["CODE"]))
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "prefect.py").write_text(PROGRAM, encoding="utf-8")
    return {**os.environ, "PYTHONPATH": str(tmp_path), "CODE": "0"}


def test_all_declared_flows_are_deployed_with_minutes_for_each_answer(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "logs" / "deploy.log"
    assert deploy_flows(environment, log) == declared_deployments(checkout())
    limit, folder, *command = log.read_text(encoding="utf-8").splitlines()[0].split()
    assert float(limit) == SECONDS_TO_ANSWER >= 300
    assert (folder, command[:3]) == (str(checkout()), ["--no-prompt", "deploy", "--all"])
    monkeypatch.setenv("PREFECT_API_REQUEST_TIMEOUT", limit)
    assert Settings().api.request_timeout == SECONDS_TO_ANSWER, "the installed Prefect reads the limit by this name"


def test_a_failure_is_one_sentence_with_the_last_line_and_the_log(environment: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "deploy.log"
    with pytest.raises(ConfigurationError) as failed:
        deploy_flows(environment | {"CODE": "1"}, log)
    assert str(failed.value) == (f"Deploying prefect.yaml failed: Name or service not known; the output is in {log}.")
