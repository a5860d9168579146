"""The terminal of a command: progress bars and notices on standard error, instead of a stream of log lines.

Flows report through log records: `PROGRESS` marks one with a `ProgressUpdate`, `NOTICE` one that a user reads. So
a record reaches the Prefect server and the terminal alike, also from a thread of a task runner. This module does not
import Prefect at import time: `configure_terminal` sets the environment that Prefect reads when it is imported.
"""

import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from warehouse.catalogue.display import format_time

PROGRESS = "valle_progress"
NOTICE = "valle_notice"
LOCAL_LOGGER = "valle.run"
"""Logger of a flow without a server."""
# Without a terminal the lines go to a file, where a bar that moves would be thousands of them.
_SECONDS_BETWEEN_LINES = 5.0
# Modules of Prefect that log an exception which the command also raises.
_ENGINE = ("flow_engine", "task_engine")


class Verbosity(StrEnum):
    """Amount of output of a command on standard error."""

    QUIET = "quiet"
    """Warnings and errors."""
    NORMAL = "normal"
    """Progress, notices, warnings and errors."""
    VERBOSE = "verbose"
    """Every log line."""
    DEBUG = "debug"
    """Every log line, with tracebacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressUpdate:
    """Progress of a step; `rate` is per second, `seconds_left` None while no rate is known."""

    name: str
    done: float
    total: float
    unit: str
    rate: float
    seconds_left: float | None
    note: str = ""

    @property
    def percent(self) -> float:
        """Part that is done, from 0 to 100."""
        return min(100.0, 100 * self.done / self.total) if self.total else 100.0

    @property
    def is_complete(self) -> bool:
        """True at the end of the step."""
        return self.done >= self.total

    def describe(self) -> str:
        """Return percent, time left, amounts and rate in one line; cards of the UI show its beginning."""
        state = "done" if self.is_complete else f"{self.percent:.1f} %, {self.describe_time_left()}"
        return f"{state}: {self.describe_amount()}"

    def describe_time_left(self) -> str:
        """Return the time left as words."""
        return "no rate yet" if self.seconds_left is None else f"{format_time(self.seconds_left)} left"

    def describe_amount(self) -> str:
        """Return amounts, and the note of the step or the rate."""
        amounts = f"{self.done:,.0f} of {self.total:,.0f} {self.unit}"
        measured = self.note or (f"{self.rate:,.1f} a second" if self.rate else "")
        return f"{amounts}, {measured}" if measured else amounts


def verbosity_of(environment: Mapping[str, str]) -> Verbosity:
    """Return the verbosity in `VALLE_VERBOSITY`, which the global flags of the command line set."""
    return Verbosity(environment.get("VALLE_VERBOSITY") or Verbosity.NORMAL)


def introduce(command: str, verbosity: Verbosity, *, stream: TextIO | None = None) -> None:
    """Print what a long command will do, before the seconds in which Prefect is imported."""
    # A file, because `make demo` shows it before Python has any package.
    picture = files("flows.runtime") / f"{command}.txt"
    if verbosity is not Verbosity.QUIET and picture.is_file():
        print(picture.read_text(encoding="utf-8"), file=stream or sys.stderr, flush=True)


def configure_terminal(verbosity: Verbosity, *, stream: TextIO | None = None) -> "TerminalHandler":
    """Let log records of this process go to the terminal, filtered by `verbosity`. Return the handler.

    Call it before Prefect is imported: it reads its log levels then. `stream` is standard error by default.
    """
    # Prefect's own console handler stays silent, here and in worker processes; its API handler still gets every line.
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "INFO")
    os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
    handler = TerminalHandler(verbosity, stream or sys.stderr)
    attach(handler)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger(LOCAL_LOGGER).setLevel(logging.INFO)
    return handler


def attach(handler: "TerminalHandler") -> None:
    """Let a handler get every record. Call it again after Prefect has set up its logging, which removes it."""
    root = logging.getLogger()
    # A second command in one process, as in tests, replaces the handler of the first.
    for old in [known for known in root.handlers if isinstance(known, TerminalHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)


class TerminalHandler(logging.Handler):
    """Log handler that draws progress bars on a terminal and writes a line every few seconds elsewhere."""

    def __init__(self, verbosity: Verbosity, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.INFO)
        self._verbosity = verbosity
        # Paths and counts stay as they are: no colours for numbers, no line breaks.
        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._clock = clock
        self._line_due: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record, unless the verbosity excludes it."""
        try:
            update = getattr(record, PROGRESS, None)
            if self._verbosity in (Verbosity.VERBOSE, Verbosity.DEBUG):
                self._write(self._full_line(record))
            elif isinstance(update, ProgressUpdate):
                self._show_progress(update)
            elif self._is_shown(record):
                self._write(record.getMessage())
        except Exception:  # noqa: BLE001 - a terminal that is closed must not end the work
            self.handleError(record)

    def close(self) -> None:
        """Remove the bars."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
        super().close()

    def _is_shown(self, record: logging.LogRecord) -> bool:
        if getattr(record, NOTICE, False):
            return self._verbosity is not Verbosity.QUIET
        return record.levelno >= logging.WARNING and record.module not in _ENGINE and record.exc_info is None

    def _full_line(self, record: logging.LogRecord) -> str:
        if self._verbosity is not Verbosity.DEBUG and record.exc_info:
            record = logging.makeLogRecord(record.__dict__ | {"exc_info": None, "exc_text": None})
        formatter = logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S")
        return formatter.format(record)

    def _write(self, text: str) -> None:
        console = self._bars.console if self._bars is not None else self._console
        console.print(text, markup=False)

    def _show_progress(self, update: ProgressUpdate) -> None:
        if self._verbosity is Verbosity.QUIET:
            return
        if self._console.is_terminal:
            self._draw(update)
        elif update.is_complete or self._clock() >= self._line_due.get(update.name, 0.0):
            self._line_due[update.name] = self._clock() + _SECONDS_BETWEEN_LINES
            self._write(f"{update.name}: {update.describe()}")

    def _draw(self, update: ProgressUpdate) -> None:
        if self._bars is None:
            self._bars = _new_bars(self._console)
            self._bars.start()
        if update.name not in self._tasks:
            self._tasks[update.name] = self._bars.add_task(update.name, total=update.total, left="", amount="")
        self._bars.update(
            self._tasks[update.name],
            completed=update.done,
            left=update.describe_time_left(),
            amount=update.describe_amount(),
        )
        if update.is_complete:
            self._finish(update)

    def _finish(self, update: ProgressUpdate) -> None:
        """Replace the bar of a finished step by a line, and stop drawing when no step is left."""
        assert self._bars is not None
        self._bars.remove_task(self._tasks.pop(update.name))
        self._write(f"{update.name}: {update.describe()}")
        if not self._tasks:
            self._bars.stop()
            self._bars = None


def _new_bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.fields[amount]}"),
        console=console,
        transient=True,  # a finished bar becomes a line
        # The result of a command goes to standard output as it is.
        redirect_stdout=False,
        redirect_stderr=False,
    )
