"""`valle up` and `valle down`: the Prefect server and the workers of this machine."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from valle.cli.arguments import parse, say

if TYPE_CHECKING:
    from flows.server.options import UpOptions


def run(command: str, arguments: Sequence[str]) -> int:
    """Start or end the local server and print its processes."""
    from flows.server.options import DownOptions, UpOptions

    if command == "up":
        return _up(parse(UpOptions, command, arguments))
    from flows.server.up import bring_down

    root = parse(DownOptions, command, arguments).data_root.root
    ended = bring_down(root)
    say(f"down: {ended} processes ended" if ended else f"no local server of {root} was up")
    return 0


def _up(options: "UpOptions") -> int:
    from flows.server.up import bring_up, show_password

    say(show_password(options) if options.show_password else bring_up(options).describe())
    return 0
