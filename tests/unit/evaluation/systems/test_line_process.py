"""Lines to and from a child process: no wait without a deadline, no buffer without a limit."""

import sys
import threading
import time

import pytest

from valle.evaluation.systems.line_process import LineProcess, NoAnswer

WRITER = "import sys\nwhile True: sys.stdout.write('x' * 1000 + '\\n')"
ECHO = "import sys\nfor line in sys.stdin: sys.stdout.write(line.upper()); sys.stdout.flush()"


def start(script, log):
    return LineProcess([sys.executable, "-c", script], log, clock=time.monotonic)


def test_lines_come_back_in_order(tmp_path):
    process = start(ECHO, tmp_path / "log")
    process.send("ä")
    process.send("b")
    assert [process.receive(float("inf")).strip() for _ in range(2)] == ["Ä", "B"]
    process.close(grace_seconds=3600.0)  # it ends by itself, because its input ends


def test_a_child_that_writes_faster_than_it_is_read_waits_and_its_threads_end_with_it(tmp_path):
    before = set(threading.enumerate())
    process = start(WRITER, tmp_path / "log")
    assert [len(process.receive(float("inf"))) for _ in range(1000)] == [1001] * 1000
    threads = set(threading.enumerate()) - before
    process.close(grace_seconds=0.0)
    for thread in threads:
        thread.join(timeout=600.0)
    assert not any(thread.is_alive() for thread in threads)


def test_a_child_that_dies_is_told_from_one_that_is_silent(tmp_path):
    dead = start("", tmp_path / "log")
    with pytest.raises(NoAnswer, match="the process died"):
        dead.receive(float("inf"))
    dead.close(grace_seconds=0.0)
    silent = start("import time; time.sleep(3600)", tmp_path / "log")
    with pytest.raises(NoAnswer, match="did not answer in time"):
        silent.receive(time.monotonic())
    silent.close(grace_seconds=0.0)


def test_blank_lines_are_no_answer(tmp_path):
    process = start("while True: print(flush=True)", tmp_path / "log")
    with pytest.raises(NoAnswer, match="did not answer in time"):
        process.receive(time.monotonic())
    process.close(grace_seconds=0.0)
