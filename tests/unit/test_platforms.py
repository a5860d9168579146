"""Other platforms than the one of the tests: the dependencies resolve, and nothing imports what only Linux has."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ONLY_POSIX = {"fcntl", "grp", "pwd", "resource", "termios", "pty"}
OFFLINE = ("dns error", "error sending request", "Failed to fetch", "timed out", "Connection refused")


@pytest.mark.slow
@pytest.mark.parametrize("platform", ["windows", "macos"])
def test_the_dependencies_resolve(platform: str, tmp_path: Path) -> None:
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not installed")
    compile_ = [uv, "pip", "compile", str(ROOT / "pyproject.toml"), "--quiet", "--no-header", "--no-annotate"]
    finished = subprocess.run(
        [*compile_, "--python-version", "3.11", "--python-platform", platform, "--output-file", "lock.txt"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode != 0 and any(reason in finished.stderr for reason in OFFLINE):
        pytest.skip("the package index cannot be reached")
    assert finished.returncode == 0, finished.stderr
    names = {line.split("==")[0] for line in (tmp_path / "lock.txt").read_text(encoding="utf-8").splitlines()}
    assert {"torch", "prefect", "duckdb", "cyclopts"} <= names
    assert not {"deepspeed", "triton"} & names


def test_no_package_imports_what_windows_lacks() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for package in ("flows", "valle", "manifests", "warehouse")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import) and {alias.name.split(".")[0] for alias in node.names} & ONLY_POSIX
    }
    assert found == set()


def test_speaking_training_and_evaluating_need_neither_deepspeed_nor_modules_of_posix() -> None:
    modules = (
        "valle.cli.speech.speak",
        "valle.synthesis.long_form",
        "valle.training.__main__",
        "valle.training.loop",
        "valle.evaluation.evaluate",
        "valle.evaluation.systems.checkpoint_speech",
    )
    code = f"import importlib, sys; sys.modules.update(dict.fromkeys({sorted(ONLY_POSIX | {'deepspeed'})}))\n"
    code += f"for name in {modules}: importlib.import_module(name)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
