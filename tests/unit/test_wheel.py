"""The wheel: everything that the packages need is in it, and it works without the checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import soundfile

from tests.local_server import free_port

ROOT = Path(__file__).parents[2]
PACKAGES = ("flows", "valle", "manifests", "warehouse")
BESIDE = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "prefect.yaml")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, dist = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in BESIDE:
        shutil.copy(ROOT / name, source / name)
    build = ["wheel", str(source), "--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(dist)]
    subprocess.run([sys.executable, "-m", "pip", *build], check=True)
    [path] = dist.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("installed")
    install = ["install", "--no-deps", "--no-compile", "--quiet", "--target", str(target), str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True)
    return target


def command(*arguments: str) -> str:
    """Return the program that runs the command line with these arguments."""
    return f"import sys; from valle.cli import main; sys.exit(main({list(arguments)}))"


def run_installed(installed: Path, folder: Path, code: str) -> str:
    """Return the output of a Python program that imports the installed wheel, not the checkout."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("VALLE_", "PREFECT_"))}
    finished = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    files = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == files | {"flows/prefect.yaml"}


def test_the_installed_command_line_knows_all_commands(installed: Path, tmp_path: Path) -> None:
    code = "import sys, valle; from valle.cli import main; print(valle.__file__); sys.exit(main({}))"
    shown = run_installed(installed, tmp_path, code.format(["--help"]))
    assert shown.splitlines()[0].startswith(str(installed))
    assert "speak" in shown
    assert "--train-seconds" in run_installed(installed, tmp_path, code.format(["demo", "--help"]))


def test_all_deployments_of_the_checkout_are_found_with_their_flows(installed: Path, tmp_path: Path) -> None:
    code = """
import importlib, yaml
from flows.server.deploy import declared_deployments, deployments_file
from flows.server.local_server import checkout
for one in yaml.safe_load(deployments_file(checkout()).read_text())["deployments"]:
    path, name = one["entrypoint"].split(":")
    assert (checkout() / path).is_file(), path
    getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), name)
print(*declared_deployments(checkout()))
"""
    expected = [
        line.split()[-1] for line in (ROOT / "prefect.yaml").read_text().splitlines() if line[:9] == "  - name:"
    ]
    assert run_installed(installed, tmp_path, code).split() == expected


def test_the_embedded_checkpoint_speaks_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    tokens = ["speak", "Three one four.", "--out", str(tmp_path / "speech.wav"), "--data", str(tmp_path / "data")]
    run_installed(installed, tmp_path, f"import sys; from valle.cli import main; sys.exit(main({tokens}))")
    assert soundfile.info(tmp_path / "speech.wav").duration > 0.3


def test_the_clips_of_the_demo_are_in_the_wheel(installed: Path, tmp_path: Path) -> None:
    code = "from manifests.demo.clips import demo_clips; print(all(clip.path.is_file() for clip in demo_clips()))"
    assert run_installed(installed, tmp_path, code).strip() == "True"


@pytest.mark.long
def test_the_demo_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    small = ["--train-seconds", "20", "--train-steps", "4", "--evaluate-count", "1"]
    shown = run_installed(installed, tmp_path, command("demo", "--data", "data", *small))
    assert "In the data root" in shown
    assert max(map(len, shown.splitlines())) <= 100
    assert list((tmp_path / "data" / "speech").rglob("*.wav"))


@pytest.mark.long
def test_a_server_from_the_wheel_has_all_deployments(installed: Path, tmp_path: Path) -> None:
    at = ["--data", str(tmp_path / "data")]
    try:
        assert "up" in run_installed(installed, tmp_path, command("up", *at, "--port", str(free_port())))
        found = run_installed(installed, tmp_path, command("doctor", "--prefect", *at))
        assert "missing" not in found, found
    finally:
        assert run_installed(installed, tmp_path, command("down", *at)).startswith("down: ")
