"""`python -m flows.machine.node_agent`: start the ranks of one machine that the input names.

Its first line is the JSON that `flows.machine.nodes` writes. The input ends when the launcher asks the ranks to end,
and also when the launcher or the connection to it is gone: they save and end.
"""

import json
import os
import sys
import threading
from collections.abc import Sequence

from flows.machine.children import Child, end_children, run_children
from flows.machine.ranks import Place, start_ranks

_INPUT = 0
# The launcher gives its own machine less; a rank that is alone and cannot end is killed here.
_SECONDS_TO_SAVE = 60.0


def main() -> int:
    """Run the ranks; returns the exit code of the first that failed, or 0."""
    line = sys.stdin.readline()
    if not line:  # the launcher ended before it wrote the line
        return 1
    told = json.loads(line)
    os.environ.update(told["environment"])
    ranks = start_ranks(Place(**told["place"]), told["module"], told["arguments"], has_input=False)
    threading.Thread(target=_end_with_input, args=(ranks,), daemon=True).start()
    return run_children(ranks)


def _end_with_input(ranks: Sequence[Child]) -> None:
    # Not by `sys.stdin`: a thread in it at the end of the process makes Python abort.
    while os.read(_INPUT, 1024):
        pass
    end_children(ranks, _SECONDS_TO_SAVE)


if __name__ == "__main__":
    sys.exit(main())
