"""Exchange lines of text with a child process, with a deadline on every wait and a limit on every buffer.

Three threads serve the pipes of the child, so that a child that never reads, never stops writing or never answers
cannot block or fill the parent. `select` would need no threads, but does not accept pipes on Windows.
"""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

MAX_LINE_BYTES = 1 << 20
MAX_LOG_BYTES = 10 << 20
_MAX_WAITING_LINES = 16
_POLL_SECONDS = 0.05
_BLOCK_BYTES = 1 << 16


class NoAnswer(Exception):
    """A child that died, timed out or answered something invalid."""


class LineProcess:
    """A child process with its own process group; `clock` returns seconds and decides when a deadline has passed."""

    def __init__(self, arguments: Sequence[str], log: Path, *, clock: Callable[[], float]) -> None:
        """Start the child; up to 10 MB of its standard error go to `log`. Raise OSError when it cannot start."""
        self._clock = clock
        self._process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # so that its children can be killed with it
        )
        self._requests: queue.Queue[bytes | None] = queue.Queue()
        self._lines: queue.Queue[bytes | None] = queue.Queue(_MAX_WAITING_LINES)
        self._is_closed = threading.Event()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._start_thread(self._write_requests, self._process.stdin)
        self._start_thread(self._read_lines, self._process.stdout)
        self._start_thread(_write_log, self._process.stderr, log)

    @staticmethod
    def _start_thread(function: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=function, args=arguments, daemon=True).start()

    def send(self, line: str) -> None:
        """Queue a line for the standard input of the child, without waiting for the child to read it."""
        self._requests.put(line.encode() + b"\n")

    def receive(self, deadline: float) -> str:
        """Return the next line that is not blank. Raise NoAnswer after `deadline`, a death or a line over 1 MB."""
        while True:
            try:
                line = self._lines.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                if self._clock() >= deadline:
                    raise NoAnswer("it did not answer in time") from None
                continue
            if line is None:
                raise NoAnswer("the process died")
            if len(line) > MAX_LINE_BYTES:
                raise NoAnswer(f"its answer is longer than {MAX_LINE_BYTES >> 20} MB")
            return line.decode("utf-8", "replace")

    def close(self, *, grace_seconds: float) -> None:
        """Close the standard input of the child, wait for it to end, then kill it with its children."""
        self._requests.put(None)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=grace_seconds)
        # From here on the reader stops waiting for room in the queue.
        self._is_closed.set()
        if sys.platform == "win32":
            self._process.kill()
        else:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _write_requests(self, stream: IO[bytes]) -> None:
        with contextlib.suppress(OSError):  # the child may be dead
            while (line := self._requests.get()) is not None:
                stream.write(line)
                stream.flush()
            stream.close()

    def _read_lines(self, stream: IO[bytes]) -> None:
        with stream:
            # The limit of `readline` is what bounds memory for a child that never ends its line.
            while line := stream.readline(MAX_LINE_BYTES + 1):
                if line.strip() and not self._offer(line):
                    return
        self._offer(None)

    def _offer(self, line: bytes | None) -> bool:
        """Wait for room in the queue, so that a fast child blocks on its pipe; return False once closed."""
        while not self._is_closed.is_set():
            with contextlib.suppress(queue.Full):
                self._lines.put(line, timeout=_POLL_SECONDS)
                return True
        return False


def _write_log(stream: IO[bytes], path: Path) -> None:
    """Append standard error to a file up to its limit and discard the rest, so that the child never blocks on it."""
    with stream, path.open("ab") as log:
        # `os.read` returns what is available; `read` would wait for a full block.
        while block := os.read(stream.fileno(), _BLOCK_BYTES):
            with contextlib.suppress(OSError):  # a full disk must not block the child
                log.write(block[: max(0, MAX_LOG_BYTES - log.tell())])
                log.flush()
