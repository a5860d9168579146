"""A command that fails ends in one sentence; tracebacks only with `--debug`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.server.connection import connect_to_prefect
from warehouse.errors import DependencyError

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def fail(data: Path, *flags: str) -> "subprocess.CompletedProcess[str]":
    """Select from an empty lake."""
    code = "import sys; from valle.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *flags, "select", "--selection.name", "nothing", "--data", str(data)],
        cwd=ROOT, env=os.environ | {"PREFECT_API_URL": PREFECT_API_URL.value()},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_flow_that_fails_ends_in_one_sentence(prefect_server: None, tmp_path: Path) -> None:
    failed = fail(tmp_path)
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert failed.stderr == "valle: No utterance matches 'true'; see what there is with `valle stats`.\n"


def test_with_debug_it_shows_where_it_failed(prefect_server: None, tmp_path: Path) -> None:
    failed = fail(tmp_path, "--debug")
    assert failed.returncode == 1
    assert "Traceback" in failed.stderr
    assert "TrainingError: No utterance matches 'true'" in failed.stderr


def test_a_server_that_does_not_answer_is_one_sentence(tmp_path: Path) -> None:
    url = "http://127.0.0.1:9/api"
    with (
        temporary_settings({PREFECT_API_URL: url}),
        pytest.raises(DependencyError, match=f"The Prefect server at {url} does not answer [^\\n]*$"),
        connect_to_prefect(tmp_path),
    ):
        pass
