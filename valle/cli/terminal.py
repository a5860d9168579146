"""How much commands print. Processes of a run inherit it through the environment."""

import os

_VERBOSITY = "VALLE_VERBOSITY"  # `flows.runtime.terminal` reads it


def set_verbosity(*, quiet: bool, verbose: bool, debug: bool) -> None:
    """Set the verbosity of this process and of the processes that it starts."""
    level = "debug" if debug else "quiet" if quiet else "verbose" if verbose else None
    if level is not None:
        os.environ[_VERBOSITY] = level


def is_quiet() -> bool:
    """Return whether only warnings and errors are printed."""
    return os.environ.get(_VERBOSITY) == "quiet"
