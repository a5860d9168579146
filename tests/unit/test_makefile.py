"""`make demo` shows a picture of the pipeline and the progress of the installation from its first second."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NUM_PACKAGES = len(re.findall(r"^[^#\s].*==", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE))
PROGRAM = """#!/bin/sh
case "$*" in *requirements.lock*)
    for number in $(seq 1 45); do echo "Collecting package$number==1.0"; done
    exit ${PIP_STATUS:-0};;
esac
echo "ran $(basename $0) $1"
[ "$(basename $0)" != "$FAILS" ]
"""


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """Return an environment whose pip names 45 packages, and whose `valle` prints its arguments."""
    for name in ("python", "valle", "ruff", "mypy", "lint-imports"):
        program = tmp_path / "venv" / "bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(PROGRAM, encoding="utf-8")
        program.chmod(0o755)
    return tmp_path / "venv"


def make(target: str, venv: Path, status: int = 0, fails: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["make", target, f"VENV={venv}"],
        cwd=ROOT,
        # A `make` of the tests' own would be told that it runs inside `make test`, and print so.
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))},
            "PIP_STATUS": str(status),
            "FAILS": fails,
            "LC_ALL": "C.UTF-8",
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_demo_shows_the_picture_then_the_installation_then_runs(venv: Path) -> None:
    finished = make("demo", venv)
    assert finished.returncode == 0, finished.stderr
    picture = (ROOT / "flows" / "runtime" / "demo.txt").read_text(encoding="utf-8")
    assert finished.stdout.startswith(picture)
    lines = finished.stdout.removeprefix(picture).splitlines()
    assert lines[0].startswith(f"Installing {NUM_PACKAGES} packages")
    assert [line for line in lines if line[:1].isdigit()] == [
        f"{number} of {NUM_PACKAGES}  package{number}==1.0" for number in (1, 21, 41)
    ]
    assert lines[-1] == "ran valle demo"
    assert max(map(len, picture.splitlines())) <= 100


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_an_installation_that_fails_is_not_taken_for_one(venv: Path) -> None:
    assert make("demo", venv, status=3).returncode != 0
    assert "ran valle" not in make("demo", venv, status=3).stdout
    assert len((venv / "install.log").read_text().splitlines()) == 46
    assert not list(venv.glob(".installed-*"))


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("fails", ["", "ruff", "mypy", "lint-imports", "python"])
def test_a_check_runs_everything_and_fails_with_each_of_its_parts(venv: Path, fails: str) -> None:
    finished = make("check", venv, fails=fails)
    assert (finished.returncode == 0) == (fails == ""), finished.stdout
    ran = {line.split()[1] for line in finished.stdout.splitlines() if line.startswith("ran ")}
    left_out = {"ruff": {"mypy", "lint-imports", "python"}, "mypy": {"lint-imports"}}
    assert ran == {"ruff", "mypy", "lint-imports", "python"} - left_out.get(fails, set())
