"""The terminal of a command: how much it prints, and the progress of a long text."""

import os
import sys
import time
from types import TracebackType
from typing import Self

# Environment variable that processes of a run inherit, and that `flows.runtime.terminal` reads.
_VERBOSITY = "VALLE_VERBOSITY"
_SECONDS_BETWEEN_LINES = 5.0


def set_verbosity(*, quiet: bool, verbose: bool, debug: bool) -> None:
    """Set the verbosity of this process and of the processes that it starts."""
    level = "debug" if debug else "quiet" if quiet else "verbose" if verbose else None
    if level is not None:
        os.environ[_VERBOSITY] = level


def is_quiet() -> bool:
    """Return whether only warnings and errors are printed."""
    return os.environ.get(_VERBOSITY) == "quiet"


class SentenceProgress:
    """Progress of sentences: one line that is rewritten on a terminal, a line every few seconds elsewhere."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._last = self._started
        self._is_terminal = sys.stderr.isatty()
        self._has_line = False

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def update(self, num_done: int, num_sentences: int, seconds: float) -> None:
        """Show how many sentences are done, the seconds of speech so far, and the time left at this rate."""
        now = time.monotonic()
        if (
            is_quiet()
            or num_done == num_sentences
            or not (self._is_terminal or now - self._last >= _SECONDS_BETWEEN_LINES)
        ):
            return
        self._last = now
        left = self.elapsed / num_done * (num_sentences - num_done)
        line = f"sentence {num_done} of {num_sentences}, {seconds:.1f} s of speech, {_as_minutes(left)} left"
        self._has_line = self._is_terminal
        sys.stderr.write(f"\r\x1b[K{line}" if self._is_terminal else f"{line}\n")
        sys.stderr.flush()

    def clear(self) -> None:
        """Remove the line of a terminal before other output."""
        if self._has_line:
            sys.stderr.write("\r\x1b[K")
            self._has_line = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()


def _as_minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d} min"
