"""Commands given during a run, typed or written to a file, and signals that ask it to end."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Protocol, TextIO

log = logging.getLogger(__name__)
SIMPLE = ("quit", "save", "eval", "export")
"""Commands of one word; `lr NUMBER` is the other one."""


class Commands(Protocol):
    """Source of commands: `quit`, `save`, `eval`, `export` and `lr NUMBER`; see docs/training.md."""

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


class FileCommands:
    """Lines of a file that anybody may write while the run trains; it is removed when it is read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def poll(self) -> list[str]:
        """Return the lines of the file, stripped; none without a file."""
        taken = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            self._path.replace(taken)  # so that lines that are written meanwhile make a new file
        except OSError:
            return []
        lines = taken.read_text(encoding="utf-8", errors="replace").splitlines()
        taken.unlink()
        return [line.strip() for line in lines]


class JoinedCommands:
    """Commands of several sources."""

    def __init__(self, *sources: Commands) -> None:
        self._sources = sources

    def poll(self) -> list[str]:
        """Return the commands of all sources since the last call."""
        return [command for source in self._sources for command in source.poll()]


@dataclass(frozen=True, slots=True)
class Orders:
    """Content of commands, as numbers that the ranks of a run can add: all but the first have none."""

    names: frozenset[str] = frozenset()
    learning_rate: float = 0.0

    @property
    def code(self) -> int:
        """One bit per simple command, and one for a learning rate."""
        bits = [name in self.names for name in SIMPLE] + [self.learning_rate > 0]
        return sum(1 << index for index, bit in enumerate(bits) if bit)

    @staticmethod
    def names_of(code: int) -> frozenset[str]:
        """Return the commands of a `code`; `lr` stands for a learning rate."""
        return frozenset(name for index, name in enumerate((*SIMPLE, "lr")) if code >> index & 1)


def parse_commands(lines: Sequence[str]) -> Orders:
    """Parse commands; one that does not exist is logged with those that do."""
    names: set[str] = set()
    learning_rate = 0.0
    for line in filter(None, lines):
        word, _, number = line.partition(" ")
        if line in SIMPLE:
            names.add(line)
        elif word == "lr" and (rate := _positive(number)):
            learning_rate = rate
        else:
            log.warning("There is no command %r; there are %s and lr NUMBER.", line, ", ".join(SIMPLE))
    return Orders(frozenset(names), learning_rate)


def _positive(number: str) -> float:
    try:
        value = float(number)
    except ValueError:
        return 0.0
    return value if 0 < value < 1 else 0.0


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
