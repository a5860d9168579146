"""`python -m flows.machine.ranks COUNT MODULE ARGUMENTS`: run a module as COUNT ranks of this machine.

The ranks find each other by the variables of torch's launchers. Unlike those, this one opens no port: its ranks meet in
a file. It forwards signals to all ranks and gives them time to save. A rank that fails ends the others, and its last
lines end the output.
"""

import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

from flows.runtime.parent_death import dependent_command, dependent_environment

_SECONDS_TO_SAVE = 10.0
_LAST_LINES = 3
_POLL = 0.1


@dataclass(slots=True)
class Rank:
    """A process of the run, with the end of its output."""

    number: int
    process: "subprocess.Popen[str]"
    last: "deque[str]" = field(default_factory=lambda: deque(maxlen=_LAST_LINES))

    def describe_end(self) -> str:
        """Return in a sentence how it ended, with its last words."""
        code = self.process.returncode
        ending = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return f"Rank {self.number} {ending}; its last words: {' | '.join(self.last) or 'none'}"


def environment_of_rank(number: int, count: int) -> Mapping[str, str]:
    """Return what a launcher tells a rank; the port is never used."""
    place = {"RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    return {name: str(value) for name, value in place.items()} | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}


def start_rank(number: int, count: int, module: str, arguments: Sequence[str]) -> Rank:
    """Start a rank; the first one reads the standard input of the launcher, for typed commands."""
    process = subprocess.Popen(
        dependent_command(module, arguments),
        env={**dependent_environment(), **environment_of_rank(number, count)},
        stdin=None if number == 0 else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="backslashreplace",
    )
    return Rank(number, process)


def print_output(rank: Rank) -> None:
    """Print the lines of a rank; those of all but the first are marked with its number."""
    assert rank.process.stdout is not None
    mark = f"rank {rank.number}: " if rank.number else ""
    for line in rank.process.stdout:
        rank.last.append(line.rstrip())
        sys.stdout.write(f"{mark}{line}")
        sys.stdout.flush()


def run_ranks(count: int, module: str, arguments: Sequence[str]) -> int:
    """Run all ranks until they end or one fails; returns the exit code of the first that failed, or 0."""
    ranks = [start_rank(number, count, module, arguments) for number in range(count)]

    def forward(number: int, frame: FrameType | None) -> None:
        for rank in ranks:
            if rank.process.poll() is None:
                rank.process.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, forward)
    readers = [threading.Thread(target=print_output, args=(rank,), daemon=True) for rank in ranks]
    for reader in readers:
        reader.start()
    failed = _first_failure(ranks)
    if failed is not None:
        _end(ranks)
    for reader in readers:
        reader.join(_SECONDS_TO_SAVE)
    if failed is None:
        return 0
    # Last, since the flow reports the last line of a module that failed.
    sys.stdout.write(f"{failed.describe_end()}\n")
    return abs(failed.process.returncode)


def _first_failure(ranks: Sequence[Rank]) -> Rank | None:
    """Wait for all ranks, but no longer than until one fails."""
    while True:
        codes = [rank.process.poll() for rank in ranks]
        failed = next((rank for rank, code in zip(ranks, codes, strict=True) if code), None)
        if failed is not None or all(code == 0 for code in codes):
            return failed
        time.sleep(_POLL)


def _end(ranks: Sequence[Rank]) -> None:
    """End the ranks that wait for the one that failed: they cannot go on without it."""
    for rank in ranks:
        rank.process.terminate()
    until = time.monotonic() + _SECONDS_TO_SAVE
    for rank in ranks:
        try:
            rank.process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            rank.process.kill()
            rank.process.wait()


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    count, module, *rest = arguments
    return run_ranks(int(count), module, rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
