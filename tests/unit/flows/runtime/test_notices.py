"""Notices of a command that runs its flow without a server reach the terminal, although Prefect resets the handlers."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
from pathlib import Path
from flows.parameters import Located
from valle.cli.flow import flow_session

with flow_session(Located(data=Path("data"))) as is_on_server:
    import prefect
    from flows.runtime.notices import notify

    notify("a notice without a server: %s", not is_on_server)
"""


def test_a_notice_is_shown_after_prefect_is_imported(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "a notice without a server: True" in done.stderr
