"""Processes of a launcher that end together: signals reach all of them, and the first that fails ends the others."""

import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import FrameType

_SECONDS_TO_SAVE = 10.0
_LAST_LINES = 3
_POLL = 0.1


@dataclass(slots=True)
class Child:
    """A process of the launcher, with the end of its output.

    `mark` is printed before each of its lines. A child that `stops_at_end_of_input` runs on another machine, where
    no signal reaches it: its standard input is closed instead.
    """

    name: str
    process: "subprocess.Popen[str]"
    mark: str = ""
    stops_at_end_of_input: bool = False
    last: "deque[str]" = field(default_factory=lambda: deque(maxlen=_LAST_LINES))

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Ask the process to save and end."""
        if self.process.poll() is not None:
            return
        if self.stops_at_end_of_input:
            assert self.process.stdin is not None
            self.process.stdin.close()
        else:
            self.process.send_signal(number)

    def describe_end(self) -> str:
        """Return in a sentence how it ended, with its last words."""
        code = self.process.returncode
        ending = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return f"{self.name} {ending}; its last words: {' | '.join(self.last) or 'none'}"


def run_children(children: Sequence[Child]) -> int:
    """Print the output of all until they end or one fails; returns the exit code of the first that failed, or 0."""

    def forward(number: int, frame: FrameType | None) -> None:
        for child in children:
            child.stop(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, forward)
    readers = [threading.Thread(target=_print_output, args=(child,), daemon=True) for child in children]
    for reader in readers:
        reader.start()
    failed = _first_failure(children)
    if failed is not None:
        end_children(children)
    for reader in readers:
        reader.join(_SECONDS_TO_SAVE)
    if failed is None:
        return 0
    # Last, since the flow reports the last line of a module that failed.
    sys.stdout.write(f"{failed.describe_end()}\n")
    return abs(failed.process.returncode)


def end_children(children: Sequence[Child], seconds: float = _SECONDS_TO_SAVE) -> None:
    """End the children that wait for one that failed, or whose launcher is gone: they cannot continue.

    Those that live after `seconds` are killed.
    """
    for child in children:
        child.stop()
    until = time.monotonic() + seconds
    for child in children:
        try:
            child.process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()


def _print_output(child: Child) -> None:
    assert child.process.stdout is not None
    for line in child.process.stdout:
        child.last.append(line.rstrip())
        sys.stdout.write(f"{child.mark}{line}")
        sys.stdout.flush()


def _first_failure(children: Sequence[Child]) -> Child | None:
    """Wait for all children, but no longer than until one fails."""
    while True:
        codes = [child.process.poll() for child in children]
        failed = next((child for child, code in zip(children, codes, strict=True) if code), None)
        if failed is not None or all(code == 0 for code in codes):
            return failed
        time.sleep(_POLL)
