"""`valle evaluate`: the flow that measures a system, and commands about scores that need no flow."""

from collections.abc import Sequence
from importlib import import_module

_COMMANDS = {
    "aggregate": "valle.cli.evaluate_aggregate",
    "compare": "valle.cli.compare",
}
"""The module of each subcommand; its `run` gets the command's name and the arguments after it."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Run the subcommand that the first argument names; without one, the flow."""
    if arguments and arguments[0] in _COMMANDS:
        name, *rest = arguments
        return int(import_module(_COMMANDS[name]).run(f"{command} {name}", rest))
    return int(import_module("valle.cli.flow").run(command, arguments))
