"""A process that ends when its parent is gone, however the parent ended (Linux; elsewhere nothing happens).

The kernel sends SIGTERM to a tethered process as soon as the thread that started it ends. So a worker that is killed
leaves no flow behind, a flow that is killed leaves no trainer behind, and both have the time to save.

`python -m flows.runtime.parent_death MODULE [ARGUMENTS]` runs a module as `python -m` does and ends it
with its parent.
"""

import ctypes
import os
import runpy
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1
_PARENT = "VALLE_TETHERED_TO"


def tether() -> None:
    """Let SIGTERM reach this process when its parent ends. Survives `exec`."""
    if not sys.platform.startswith("linux"):
        return
    parent = os.environ.get(_PARENT)
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if parent is not None and int(parent) != os.getppid():
        os.kill(os.getpid(), signal.SIGTERM)  # it ended before the kernel was told


def tethered_command(module: str, arguments: Sequence[str]) -> list[str]:
    """The command that runs `module` tethered to the process that starts it."""
    return [sys.executable, "-m", "flows.runtime.parent_death", module, *arguments]


def tethered_environment() -> dict[str, str]:
    """The environment for a tethered command: this one, and who the parent is."""
    return os.environ | {_PARENT: str(os.getpid())}


def end_with_worker() -> None:
    """Pull step of every deployment: tether the process of a flow run to its worker.

    Prefect replaces the process that runs the pull steps by the one that runs the flow, and the tether holds.
    """
    tether()


def main(arguments: Sequence[str]) -> None:
    """Run the module `arguments[0]` in this process."""
    tether()
    os.environ.pop(_PARENT, None)  # of this process, not of its children
    module, *rest = arguments
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
