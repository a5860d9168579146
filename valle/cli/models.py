"""Weights that no wheel contains: `valle models list|fetch|verify`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from valle.backends.fetched import FETCHED, fetch_weights, fetched_file, find_weights, is_intact
from valle.cli.arguments import say
from warehouse.errors import DependencyError


def list_models() -> int:
    """List the weights that can be fetched, with licence and stored file."""
    for file in FETCHED:
        path = find_weights(file.name)
        state = f"{path} ({path.stat().st_size / 1e6:.0f} MB)" if path else f"not fetched; from {file.source}"
        say(f"{file.name:<20} {file.licence:<30} {state}")
    return 0


def fetch(
    name: str,
    *,
    source: Annotated[Path | None, Parameter(help="A copy of the file, for a machine without a network.")] = None,
) -> int:
    """Fetch weights into `VALLE_MODELS`, or copy them from a file."""
    path = fetch_weights(name, source=source)
    say(f"{path}: {path.stat().st_size / 1e6:.0f} MB, licence {fetched_file(name).licence}.")
    return 0


def verify(*names: str) -> int:
    """Hash stored weights, all or those named, and compare with the hash in their file names."""
    wanted = [fetched_file(name) for name in names] or list(FETCHED)
    found = {file.name: find_weights(file.name) for file in wanted}
    stored = {name: path for name, path in found.items() if path is not None}
    # All files are hashed before the first error, so that one run names every damaged one.
    damaged = [name for name, path in stored.items() if not is_intact(path)]
    for name in stored:
        say(f"{name:<20} {'damaged' if name in damaged else 'ok'}")
    missing = [name for name in names if name not in stored]
    if damaged:
        raise DependencyError(f"{stored[damaged[0]]} is damaged: remove it and run `valle models fetch {damaged[0]}`.")
    if missing:
        raise DependencyError(f"{missing[0]} is not in the models folder: run `valle models fetch {missing[0]}`.")
    if not stored:
        say("No weights are stored.")
    return 0
