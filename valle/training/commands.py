"""Words a person types while a run goes on, and signals that ask it to end, behind one interface."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol, TextIO


class Commands(Protocol):
    """Where commands come from: `quit` saves and ends the run, `save` saves."""

    def poll(self) -> list[str]:
        """Commands since the last call; never waits."""


class NoCommands:
    """Nobody types."""

    def poll(self) -> list[str]:
        """Nothing, ever."""
        return []


class TypedCommands:
    """Lines of a stream, read by a thread that ends with the stream or the process."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdin if stream is None else stream
        self._lines: list[str] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._read, name="commands", daemon=True).start()

    def poll(self) -> list[str]:
        """Lines since the last call, stripped."""
        with self._lock:
            lines, self._lines = self._lines, []
        return lines

    def _read(self) -> None:
        try:
            for line in self._stream:
                with self._lock:
                    self._lines.append(line.strip())
        except (OSError, ValueError):
            return  # a stream that was closed or cannot be read: nobody types


class StopFlag:
    """Whether a signal asked the run to end."""

    def __init__(self) -> None:
        self.is_set = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        self.is_set = True


@contextmanager
def stop_on_signals() -> Iterator[StopFlag]:
    """A flag that SIGTERM and SIGINT set while the context lasts; outside the main thread nothing sets it."""
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
