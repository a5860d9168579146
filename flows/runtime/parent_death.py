"""Parent-death signals: processes that end when their parent ends, however it ended (Linux; no effect elsewhere).

The kernel sends SIGTERM to the process as soon as the thread that started it ends. So a killed worker leaves no flow
and a killed flow leaves no trainer, and both have time to save.

`python -m flows.runtime.parent_death MODULE [ARGUMENTS]` runs a module as `python -m` does, with the signal set.
"""

import ctypes
import os
import runpy
import signal
import sys
from collections.abc import Sequence

# Constant of Linux's sys/prctl.h, which Python does not define.
_PR_SET_PDEATHSIG = 1
_PARENT = "VALLE_PARENT_PROCESS"


def die_with_parent() -> None:
    """Let the kernel send SIGTERM to this process when its parent ends; survives `exec`."""
    if not sys.platform.startswith("linux"):
        return
    parent = os.environ.get(_PARENT)
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if parent is not None and int(parent) != os.getppid():
        os.kill(os.getpid(), signal.SIGTERM)  # the parent ended before the call of prctl


def dependent_command(module: str, arguments: Sequence[str]) -> list[str]:
    """Return the command that runs `module` in a process that dies with its parent."""
    return [sys.executable, "-m", "flows.runtime.parent_death", module, *arguments]


def dependent_environment() -> dict[str, str]:
    """Return the environment for `dependent_command`: that of this process, and its id."""
    return os.environ | {_PARENT: str(os.getpid())}


def die_with_worker() -> None:
    """Let the process of a flow run die with its worker: the pull step of every deployment.

    Prefect replaces the process of the pull steps by that of the flow with `exec`, which keeps the signal.
    """
    die_with_parent()


def main(arguments: Sequence[str]) -> None:
    """Run the module `arguments[0]` in this process."""
    die_with_parent()
    os.environ.pop(_PARENT, None)  # for this process only, not for its children
    module, *rest = arguments
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
