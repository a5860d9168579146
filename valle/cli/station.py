"""`valle up` and `valle down`: the Prefect server and the workers of this machine."""

from collections.abc import Sequence
from importlib import import_module

from valle.cli.arguments import parse, say


def run(command: str, arguments: Sequence[str]) -> int:
    """Start or end what `command` says, and print what runs."""
    options = import_module("flows.server.options")
    if command == "up":
        asked = parse(options.UpOptions, command, arguments)
        say(import_module("flows.server.up").bring_up(asked).describe())
        return 0
    root = parse(options.DownOptions, command, arguments).data_root.root
    ended = import_module("flows.server.up").bring_down(root)
    say(f"down: {ended} processes ended" if ended else f"nothing of {root} was up")
    return 0
