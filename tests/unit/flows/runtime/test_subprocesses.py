"""Lines that are typed in the terminal of a command reach the module that it runs."""

import os
import pty
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]
ECHO = "import sys; print('typed', sys.stdin.readline().strip() or 'nothing')\n"
RUN = """
import logging, sys
from flows.runtime.subprocesses import run_module
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s", force=True)
run_module("echo", [], what="Echo", has_commands=True)
"""


def run_echo(folder: Path, stdin: int) -> str:
    (folder / "echo.py").write_text(ECHO, encoding="utf-8")
    path = os.pathsep.join((str(folder), str(ROOT)))
    told = subprocess.run(
        [sys.executable, "-c", RUN], stdin=stdin, env=os.environ | {"PYTHONPATH": path}, check=True,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return told.stdout.strip()


def test_typed_lines_reach_the_module_of_a_command_in_a_terminal(tmp_path: Path) -> None:
    keyboard, terminal = pty.openpty()
    os.write(keyboard, b"save\n")
    assert run_echo(tmp_path, terminal) == "typed save"


def test_without_a_terminal_the_module_waits_for_nothing(tmp_path: Path) -> None:
    assert run_echo(tmp_path, subprocess.DEVNULL) == "typed nothing"
