"""Commands typed during a run, and signals that ask it to end."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol, TextIO


class Commands(Protocol):
    """Source of commands: `quit` saves and ends the run, `save` saves."""

    def poll(self) -> list[str]:
        """Return the commands since the last call, without waiting."""


class NoCommands:
    """No commands."""

    def poll(self) -> list[str]:
        """Return no commands."""
        return []


class TypedCommands:
    """Lines of a stream, read by a thread that ends with the stream or the process."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdin if stream is None else stream
        self._lines: list[str] = []
        self._lock = threading.Lock()
        # A daemon, because a blocking read of standard input cannot be interrupted.
        threading.Thread(target=self._read, name="commands", daemon=True).start()

    def poll(self) -> list[str]:
        """Return the lines since the last call, stripped."""
        with self._lock:
            lines, self._lines = self._lines, []
        return lines

    def _read(self) -> None:
        try:
            for line in self._stream:
                with self._lock:
                    self._lines.append(line.strip())
        except (OSError, ValueError):
            return  # a stream that was closed or cannot be read has no commands


class StopFlag:
    """Flag that a signal asked the run to end."""

    def __init__(self) -> None:
        self.is_set = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Set the flag; a signal handler."""
        self.is_set = True


@contextmanager
def stop_on_signals() -> Iterator[StopFlag]:
    """Yield a flag that SIGTERM and SIGINT set during the block; outside the main thread nothing sets it."""
    flag = StopFlag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    before = {number: signal.signal(number, flag) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
