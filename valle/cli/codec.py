"""`valle codec report`: what codecs do to speech."""

from collections.abc import Sequence

from valle.cli import flow
from warehouse.errors import ConfigurationError


def run(command: str, arguments: Sequence[str]) -> int:
    """Run the flow of the report."""
    if arguments and arguments[0] in ("-h", "--help"):
        return flow.run("codec-report", ["--help"])
    if not arguments or arguments[0] != "report":
        raise ConfigurationError("There is one command for codecs: `valle codec report` (`--help` lists its options).")
    return flow.run("codec-report", arguments[1:])
