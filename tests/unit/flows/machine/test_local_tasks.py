"""Tasks of a command without a Prefect server: retried as declared, in threads and in processes."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from prefect import task

from flows.machine.local_tasks import LocalTaskRunner, run_task
from flows.runtime.shutdown import STOPPED
from flows.runtime.where import call, is_on_server, run_id, run_logger, submit

ROOT = Path(__file__).parents[4]
NAME = f"{__name__}:count_calls"


@task(retries=2, retry_delay_seconds=[2, 4], retry_jitter_factor=0.5)
def count_calls(log: Path, failures: int) -> int:
    """Append a line per call and fail the first `failures` times."""
    with log.open("a", encoding="utf-8") as file:
        file.write(f"{os.getpid()}\n")
    calls = len(log.read_text(encoding="utf-8").splitlines())
    if calls <= failures:
        raise OSError(f"call {calls}")
    return calls


def test_a_task_is_retried_as_often_and_as_late_as_it_declares(tmp_path: Path) -> None:
    waited: list[float] = []
    assert run_task(NAME, {"log": tmp_path / "a", "failures": 2}, sleep=waited.append) == 3
    assert 2 <= waited[0] <= 3 and 4 <= waited[1] <= 6
    with pytest.raises(OSError, match="call 3"):
        run_task(NAME, {"log": tmp_path / "b", "failures": 9}, sleep=waited.append)


@task
def fail(reason: str) -> None:
    raise OSError(reason)


def test_a_failed_task_is_returned_as_its_exception_or_raised() -> None:
    with LocalTaskRunner(width=1) as runner:
        future = runner.submit(fail, {"reason": "disk"})
        assert isinstance(future.result(raise_on_failure=False), OSError)
        with pytest.raises(OSError, match="disk"):
            future.result()


def test_processes_of_their_own_run_the_same_task(tmp_path: Path) -> None:
    with LocalTaskRunner(width=1, in_processes=True) as runner:
        assert runner.submit(count_calls, {"log": tmp_path / "a", "failures": 0}).result() == 1
    assert (tmp_path / "a").read_text(encoding="utf-8").strip() != str(os.getpid())


def test_without_a_server_functions_are_called_plainly_and_one_command_is_one_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert not is_on_server()
    assert call(count_calls, tmp_path / "a", 0) == 1
    assert submit(count_calls, tmp_path / "a", 0)() == 2
    assert run_id() == run_id()
    assert run_id().startswith("local-")
    with caplog.at_level(logging.INFO):
        run_logger().info("done")
    assert "done" in caplog.messages


STOPPED_IN_A_SHARD = """
import os, signal, threading, time
from prefect import task
from flows.machine.local_tasks import LocalTaskRunner
from flows.runtime.runner import Work, run_all
from flows.runtime.shutdown import exit_on_sigterm

@task
def endless() -> None:
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
    time.sleep(3600)

exit_on_sigterm()
with LocalTaskRunner(width=1) as runner:
    work = Work(label="a", shards=("a",), audio_seconds=1, submit=lambda *_: runner.submit(endless, {}))
    run_all("endless", [work], width=1)
"""


def test_a_signal_ends_a_command_without_waiting_for_its_shards() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", STOPPED_IN_A_SHARD], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 128 + signal.SIGTERM
    assert ended.stderr.count(STOPPED) == 1
    assert "Traceback" not in ended.stderr
