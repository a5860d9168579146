"""The local server: `valle up`, `valle down`, and `valle doctor`, which checks it and the installation."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flows.server.options import DownOptions, UpOptions
from valle.cli.arguments import FIELDS, say

_DATA = "Root of all data; by default `VALLE_DATA`, or `data` in the current folder."


def up(*, options: Annotated[UpOptions, FIELDS] = UpOptions()) -> int:
    """Start the Prefect server, its workers and all deployments on this machine."""
    from flows.server.up import bring_up, show_password

    say(show_password(options) if options.show_password else bring_up(options).describe())
    return 0


def down(*, options: Annotated[DownOptions, FIELDS] = DownOptions()) -> int:
    """Stop the local server of `valle up`, and everything that it runs."""
    from flows.server.up import bring_down

    root = options.data_root.root
    ended = bring_down(root)
    say(f"down: {ended} processes ended" if ended else f"no local server of {root} was up")
    return 0


def doctor(
    *,
    data: Annotated[Path | None, Parameter(help=_DATA)] = None,
    prefect: Annotated[bool, Parameter(negative="", help="Check the Prefect server instead.")] = False,
) -> int:
    """List what is installed and what is missing, with the command that fixes it.

    Return 1 when something that is needed is missing.
    """
    from valle.data_root import open_data_root

    root = open_data_root(data).root
    if prefect:
        from flows.server.health import diagnose_prefect as diagnose
    else:
        from valle.doctor import diagnose
    findings = diagnose(root)
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        say(f"{finding.status:8} {finding.name.ljust(width)}  {finding.detail}")
        if finding.fix:
            say(f"{'':8} {'':{width}}  fix: {finding.fix}")
    return 0 if all(finding.status == "ok" for finding in findings if finding.is_needed) else 1
