"""Standard error of a command: progress and notices, as much as its verbosity allows."""

import io
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from flows.runtime.terminal import (
    NOTICE,
    PROGRESS,
    ProgressUpdate,
    TerminalHandler,
    Verbosity,
    introduce,
    verbosity_of,
)

ROOT = Path(__file__).parents[4]


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def update(done: float, name: str = "segment clips") -> ProgressUpdate:
    return ProgressUpdate(name=name, done=done, total=60.0, unit="s of audio", rate=10.0, seconds_left=(60 - done) / 10)


def logger_to(handler: logging.Handler) -> logging.Logger:
    logger = logging.Logger("of a run", logging.INFO)
    logger.addHandler(handler)
    return logger


def report(logger: logging.Logger, done: float) -> None:
    logger.info("segment clips: %s", done, extra={PROGRESS: update(done)})


def written(verbosity: Verbosity, stream: io.StringIO | None = None) -> str:
    """Return the output of a run with a line of every kind."""
    stream = stream or io.StringIO()
    logger = logger_to(TerminalHandler(verbosity, stream))
    logger.info("Beginning flow run")
    logger.info("segment clips: nothing to do", extra={NOTICE: True})
    report(logger, 30.0)
    report(logger, 60.0)
    logger.warning("no speech of u1")
    try:
        raise ValueError("wrong")
    except ValueError:
        logger.exception("Encountered exception during execution")
    return stream.getvalue()


def test_by_default_progress_notices_and_warnings_are_shown_and_no_traceback() -> None:
    text = written(Verbosity.NORMAL)
    assert text.splitlines() == [
        "segment clips: nothing to do",
        "segment clips: 50.0 %, 3 s left: 30 of 60 s of audio, 10.0 a second",
        "segment clips: done: 60 of 60 s of audio, 10.0 a second",
        "no speech of u1",
    ]


def test_quiet_shows_warnings_only() -> None:
    assert written(Verbosity.QUIET).splitlines() == ["no speech of u1"]
    stream = io.StringIO()
    introduce("demo", Verbosity.QUIET, stream=stream)
    assert stream.getvalue() == ""


def test_verbose_shows_every_line_and_debug_the_traceback_too() -> None:
    verbose, debug = written(Verbosity.VERBOSE), written(Verbosity.DEBUG)
    for text in (verbose, debug):
        assert "Beginning flow run" in text
        assert "Encountered exception" in text
    assert "Traceback" not in verbose
    assert 'raise ValueError("wrong")' in debug


def test_elsewhere_than_on_a_terminal_a_line_comes_every_few_seconds() -> None:
    now = [0.0]
    stream = io.StringIO()
    logger = logger_to(TerminalHandler(Verbosity.NORMAL, stream, clock=lambda: now[0]))
    for step in range(60):
        now[0] += 0.5
        report(logger, step + 1.0)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 7
    assert "1 of 60" in lines[0]
    assert "60 of 60" in lines[-1]


def test_on_a_terminal_a_bar_is_drawn_and_replaced_by_a_line_when_the_step_is_done() -> None:
    stream = Terminal()
    logger = logger_to(TerminalHandler(Verbosity.NORMAL, stream))
    report(logger, 0.0)
    report(logger, 30.0)
    report(logger, 60.0)
    text = stream.getvalue()
    assert "━" in text
    assert "segment clips: done: 60 of 60 s of audio, 10.0 a second\n" in text
    assert text.count("\n") < 10


def test_a_closed_terminal_does_not_end_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    stream = io.StringIO()
    logger = logger_to(TerminalHandler(Verbosity.NORMAL, stream))
    stream.close()
    report(logger, 30.0)


def test_the_flags_of_the_command_line_choose_the_verbosity() -> None:
    assert verbosity_of({}) is Verbosity.NORMAL
    assert verbosity_of({"VALLE_VERBOSITY": "quiet"}) is Verbosity.QUIET


def test_the_picture_of_the_demo_fits_a_terminal_and_comes_before_prefect_is_imported() -> None:
    script = (
        "import sys; from flows.runtime.terminal import Verbosity, introduce; introduce('demo', Verbosity.NORMAL); "
        "print('prefect' in sys.modules, 'torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == "False False\n"
    assert "ingest" in found.stderr
    assert max(map(len, found.stderr.splitlines())) <= 100
