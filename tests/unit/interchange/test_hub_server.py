"""Folders by the real client of the hub, through HTTP, against a local stand-in."""

import os
import subprocess
import sys

import pytest

from tests.hub_server import serve_hub

PROGRAM = """
import sys
from pathlib import Path
from valle.interchange.hub.transfer import HubError, pull_folder, push_folder

folder, kind = Path(sys.argv[1]), sys.argv[2]
print(push_folder(folder, "someone/voice", kind))
pull_folder("someone/voice", folder.with_name("pulled"), kind)
try:
    pull_folder("someone/missing", folder.with_name("missing"), kind)
except HubError as error:
    print(error)
"""


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_a_folder_is_uploaded_and_downloaded_by_the_client_of_the_hub(tmp_path, kind):
    content = {
        "README.md": b"---\nlicense: other\n---\n# Voice\n",
        "config.json": b"{}\n",
        "model.safetensors": bytes(range(256)) * 4000,
        "data/train.parquet": b"PAR1" * 500,
    }
    for name, data in content.items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(data)
    with serve_hub() as hub:
        environment = os.environ | {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(tmp_path / "home"),
            "HF_TOKEN": "hf_" + "a" * 34,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
        command = [sys.executable, "-c", PROGRAM, str(tmp_path / "folder"), kind]
        answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert answer.returncode == 0, answer.stderr
    assert hub.repositories[f"{kind}s/someone/voice"] == content
    pulled = tmp_path / "pulled"
    files = [path for path in pulled.rglob("*") if path.is_file() and ".cache" not in path.parts]
    assert {path.relative_to(pulled).as_posix(): path.read_bytes() for path in files} == content
    assert "someone/missing cannot be read" in answer.stdout
    assert not (tmp_path / "missing").exists()
    prefix = f"/api/{kind}s/someone/voice"
    for request in (f"POST {prefix}/preupload/main", f"POST {prefix}/commit/main", "POST /api/repos/create"):
        assert request in hub.requests
    # The large files are stored by their hash, as the hub does.
    assert sum(request.startswith("PUT /large/") for request in hub.requests) == 2
