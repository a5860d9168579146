"""A process ends when its parent does, however the parent ended."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from flows.runtime.parent_death import dependent_command, dependent_environment
from flows.runtime.subprocesses import terminate_process_tree

ROOT = Path(__file__).parents[4]
# Says its process id, then waits; told to end it leaves a file, as a trainer leaves a checkpoint.
CHILD = """
import os, pathlib, signal, sys, time
def save(number, frame):
    pathlib.Path(sys.argv[1]).write_text("saved")
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
print(os.getpid(), flush=True)
time.sleep(600)
"""
PARENT = """
import subprocess, sys, time
from flows.runtime.parent_death import dependent_command, dependent_environment
subprocess.Popen(dependent_command("child", sys.argv[1:]), env=dependent_environment())
time.sleep(600)
"""
_PATIENCE = 120.0
"""Seconds; a test that succeeds waits for none of them."""
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has parent-death signals")


def is_gone(pid: int) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "child.py").write_text(CHILD, encoding="utf-8")
    return os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}


def test_a_child_whose_parent_is_killed_has_the_time_to_save_and_ends(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    saved = tmp_path / "saved"
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(saved)], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert is_gone(child)
    assert saved.read_text() == "saved"


def test_a_dependent_module_runs_as_it_would_with_python_m(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text("import sys; print(__name__, sys.argv[1:])", encoding="utf-8")
    told = subprocess.run(
        dependent_command("child", ["a", "b"]),
        env=dependent_environment() | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "__main__ ['a', 'b']\n"


def test_a_child_whose_parent_was_gone_before_it_began_ends_at_once(environment: dict[str, str]) -> None:
    asked = environment | {"VALLE_PARENT_PROCESS": "999999999"}
    ended = subprocess.run(
        dependent_command("child", ["x"]), env=asked, capture_output=True, timeout=_PATIENCE, check=False
    )
    assert ended.returncode == -signal.SIGTERM


def test_what_ignores_the_request_is_killed_with_its_children(tmp_path: Path) -> None:
    deaf = "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    grandchild = f"{deaf} print('up', flush=True); time.sleep(600)"
    child = f"{deaf} subprocess.Popen([sys.executable, '-c', {grandchild!r}]); time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) == 1
    terminate_process_tree(process.pid, 0.3)
    assert process.wait(_PATIENCE) == -signal.SIGKILL
    assert is_gone(family[0].pid)
