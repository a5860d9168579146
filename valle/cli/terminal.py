"""How much commands print. Processes of a run inherit it through the environment."""

import logging
import os

_VERBOSITY = "VALLE_VERBOSITY"


def set_verbosity(*, quiet: bool, verbose: bool, debug: bool) -> None:
    """Set the verbosity of this process and of the processes that it starts."""
    level = "debug" if debug else "quiet" if quiet else "verbose" if verbose else None
    if level is not None:
        os.environ[_VERBOSITY] = level


def is_quiet() -> bool:
    """Return whether only warnings and errors are printed."""
    return os.environ.get(_VERBOSITY) == "quiet"


def configure_log() -> None:
    """Let Prefect print its log as the verbosity demands."""
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING" if is_quiet() else "INFO")
    # One line for each request to Prefect's server.
    logging.getLogger("httpx").setLevel(logging.WARNING)
