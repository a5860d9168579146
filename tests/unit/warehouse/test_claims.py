"""Claims: one run at a time, and none that outlives its process."""

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from warehouse.lake.tables import Lake
from warehouse.upkeep import claims
from warehouse.upkeep.claims import claimed
from warehouse.upkeep.fsck import fsck

_HOST, _HERE = socket.gethostname(), os.getpid()


def _note(lake: Lake, unit: str = "unit") -> Path:
    assert isinstance(lake.root, Path)
    return lake.root / "_claims" / f"{unit}.json"


def _leave(lake: Lake, *, host: str = _HOST, process: int = _HERE, age: float = 0.0, text: str | None = None) -> Path:
    """A claim that another run left `age` seconds ago."""
    note = _note(lake)
    note.parent.mkdir(parents=True)
    note.write_text(json.dumps({"run": "other", "host": host, "process": process}) if text is None else text)
    os.utime(note, (time.time() - age,) * 2)
    return note


def _dead_process() -> int:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_a_second_run_is_told_and_comes_in_when_the_first_is_through(lake: Lake) -> None:
    with claimed(lake, "unit", "one") as first:
        with claimed(lake, "unit", "other") as second, claimed(lake, "another unit", "other") as elsewhere:
            assert (first, second, elsewhere) == (True, False, True)
        assert _note(lake).exists(), "who was refused must not take the claim away"
    with claimed(lake, "unit", "other") as later:
        assert later
    assert not list(_note(lake).parent.iterdir())


def test_a_run_does_not_stand_in_its_own_way(lake: Lake) -> None:
    with claimed(lake, "unit", "one") as first, claimed(lake, "unit", "one") as again:
        assert first and again


def test_a_claim_ends_with_an_error_of_the_body(lake: Lake) -> None:
    with pytest.raises(ZeroDivisionError), claimed(lake, "unit", "one"):
        raise ZeroDivisionError
    with claimed(lake, "unit", "other") as free:
        assert free


def test_the_claim_of_a_killed_process_of_this_machine_is_free_at_once(lake: Lake) -> None:
    _leave(lake, process=_dead_process())
    with claimed(lake, "unit", "one") as free:
        assert free
        assert json.loads(_note(lake).read_text())["run"] == "one"


def test_the_claim_of_a_killed_process_that_its_parent_has_not_collected_is_free(lake: Lake) -> None:
    killed = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    _leave(lake, process=killed.pid)
    with claimed(lake, "unit", "one") as free:
        assert not free
    killed.kill()
    deadline = time.monotonic() + 300
    while psutil.Process(killed.pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
    with claimed(lake, "unit", "one") as free:
        assert free
    killed.wait()


@pytest.mark.parametrize(("seconds", "is_free"), [(0.0, False), (-3600.0, True)])
def test_a_claim_is_void_when_another_process_has_its_number(lake: Lake, seconds: float, is_free: bool) -> None:
    started = psutil.Process().create_time() + seconds
    _leave(lake, text=json.dumps({"run": "other", "host": _HOST, "process": _HERE, "started": started}))
    with claimed(lake, "unit", "one") as free:
        assert free == is_free


@pytest.mark.parametrize(("age", "is_free"), [(5.0, False), (120.0, True)])
def test_the_claim_of_another_machine_is_good_while_it_is_renewed(lake: Lake, age: float, is_free: bool) -> None:
    _leave(lake, host="elsewhere", age=age)
    with claimed(lake, "unit", "one") as free:
        assert free == is_free


@pytest.mark.parametrize(("age", "is_free"), [(0.0, False), (120.0, True)])
@pytest.mark.parametrize("text", ["", '{"run": "oth', "[]"])
def test_a_claim_that_is_cut_off_is_that_of_a_writer(lake: Lake, text: str, age: float, is_free: bool) -> None:
    _leave(lake, text=text, age=age)
    with claimed(lake, "unit", "one") as free:
        assert free == is_free


def test_waiting_ends_when_the_other_run_does(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "_SECONDS_TO_NEXT_LOOK", 0.01)
    order: list[str] = []

    def wait() -> None:
        with claimed(lake, "unit", "other", wait=True) as is_ours:
            assert is_ours
            order.append("other")

    waiting = threading.Thread(target=wait)
    with claimed(lake, "unit", "one"):
        waiting.start()
        time.sleep(0.1)
        order.append("one")
    waiting.join(300)
    assert order == ["one", "other"]


def test_a_long_claim_is_renewed(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "_SECONDS_TO_RENEWAL", 0.01)
    with claimed(lake, "unit", "one"):
        os.utime(_note(lake), (0, 0))
        deadline = time.monotonic() + 300
        while _note(lake).stat().st_mtime == 0:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_nothing_is_claimed_where_nothing_can_be_written(lake: Lake) -> None:
    _note(lake).parent.parent.mkdir()
    _note(lake).parent.touch()  # a file where the folder should be
    with claimed(lake, "unit", "one") as free:
        assert free


def _claim_and_sleep(root: Path) -> None:
    with claimed(Lake(root), "unit", "killed"):
        time.sleep(3600)


def test_sigkill_frees_what_a_process_had_claimed(lake: Lake) -> None:
    assert isinstance(lake.root, Path)
    worker = multiprocessing.get_context("spawn").Process(target=_claim_and_sleep, args=(lake.root,))
    worker.start()
    deadline = time.monotonic() + 300
    while not (_note(lake).exists() and _note(lake).stat().st_size):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with claimed(lake, "unit", "one") as free:
        assert not free
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    with claimed(lake, "unit", "one") as free:
        assert free
    assert fsck(lake).is_sound
