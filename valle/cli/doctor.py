"""`valle doctor`: what is installed, what is missing, and the one command that fixes it."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from valle.cli.arguments import parse, say


class DoctorOptions(BaseModel):
    """Say what is installed, what is missing, and the command that fixes it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""
    prefect: bool = False
    """Check the Prefect server instead: versions, pools, workers, deployments, automations."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Print every finding; 1 when something that is needed is missing or broken."""
    from valle.data_root import open_data_root
    from valle.doctor import diagnose

    options = parse(DoctorOptions, command, arguments)
    root = open_data_root(options.data).root
    findings = import_module("flows.server.health").diagnose_prefect(root) if options.prefect else diagnose(root)
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        say(f"{finding.status:8} {finding.name.ljust(width)}  {finding.detail}")
        if finding.fix:
            say(f"{'':8} {'':{width}}  fix: {finding.fix}")
    return 0 if all(finding.status == "ok" for finding in findings if finding.is_needed) else 1
