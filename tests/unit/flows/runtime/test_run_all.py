"""The order in which shards are submitted, and the end of a run with failed or claimed shards."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from prefect.logging import disable_run_logger
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.runtime.runner import MOST_TASKS, Work, run_all, run_each, tasks_of
from flows.runtime.terminal import NOTICE
from flows.runtime.where import LOCAL_LOGGER
from warehouse.errors import StageError
from warehouse.shard_runs import ShardReport


def shard_report(shard: str) -> ShardReport:
    return ShardReport(
        stage="segment", corpus="clips", shard=shard, rows_in=1, rows_out=1, drops={}, audio_seconds=1.0,
        wall_seconds=0.1,
    )  # fmt: skip


class Cluster:
    """A task runner whose futures answer when they are asked."""

    def __init__(self, answers: dict[str, list[Any]]) -> None:
        self.answers = answers
        self.events: list[str] = []
        self.pending = 0
        self.most_pending = 0

    def work(self) -> list[Work]:
        return [
            Work(label=name, shards=tuple(name.split("+")), audio_seconds=1.0, submit=self._submit)
            for name in self.answers
        ]

    def _submit(self, shards: tuple[str, ...], wait: bool) -> Any:
        name = "+".join(shards)
        self.events.append(f"{name}{' wait' if wait else ''}")
        self.pending += 1
        self.most_pending = max(self.pending, self.most_pending)
        return self

    def result(self, raise_on_failure: bool) -> Any:
        assert not raise_on_failure
        self.pending -= 1
        done = len(self.events) - self.pending - 1
        answer = self.answers[self.events[done].split()[0]].pop(0)
        return answer if isinstance(answer, list | Exception) else [answer]


@pytest.fixture(autouse=True)
def without_server() -> Iterator[None]:
    """Progress is reported to a server that is down, and the logger of a run is silent."""
    with temporary_settings(updates={PREFECT_API_URL: "http://127.0.0.1:9/api"}), disable_run_logger():
        yield


def test_at_most_twice_the_width_is_submitted_at_a_time() -> None:
    cluster = Cluster({f"s{number}": [shard_report(f"s{number}")] for number in range(12)})
    reports = run_all("segment clips", cluster.work(), width=2)
    assert [report.shard for report in reports] == [f"s{number}" for number in range(12)]
    assert cluster.most_pending == 4


def test_claimed_shards_come_last_and_wait_for_the_other_run() -> None:
    cluster = Cluster({"a": [None, shard_report("a")], "b": [shard_report("b")]})
    reports = run_all("segment clips", cluster.work(), width=1)
    assert cluster.events == ["a", "b", "a wait"]
    assert [report.shard for report in reports] == ["b", "a"]


@pytest.mark.parametrize("claimed", [0, 2])
def test_a_run_that_waits_for_another_says_so_on_the_terminal(claimed: int) -> None:
    notices: list[str] = []

    class Terminal(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if getattr(record, NOTICE, False):
                notices.append(record.getMessage())

    names = ("a", "b", "c")
    answers = {name: [*([None] if at < claimed else []), shard_report(name)] for at, name in enumerate(names)}
    logger, terminal = logging.getLogger(LOCAL_LOGGER), Terminal()
    level = logger.level
    logger.addHandler(terminal)
    logger.setLevel(logging.INFO)
    try:
        run_all("segment clips", Cluster(answers).work(), width=3)
    finally:
        logger.removeHandler(terminal)
        logger.setLevel(level)
    waiting = "segment clips: another run is working on 2 of 3 shards; waiting for it"
    assert notices == ([waiting] if claimed else [])


def test_failed_shards_are_named_at_the_end_and_the_others_are_done() -> None:
    cluster = Cluster({"a": [ValueError("disk")], "b": [shard_report("b")]})
    with pytest.raises(StageError, match=r"1 of 2 shards failed, the first is a \(disk\)"):
        run_all("segment clips", cluster.work(), width=1)
    assert cluster.events == ["a", "b"]


def test_of_a_task_with_several_shards_only_the_claimed_ones_are_waited_for() -> None:
    some = [shard_report("a"), None, shard_report("c")]
    cluster = Cluster({"a+b+c": [some], "d": [shard_report("d")]})
    cluster.answers["b"] = [shard_report("b")]
    work = cluster.work()[:2]
    reports = run_all("segment clips", work, width=1)
    assert cluster.events == ["a+b+c", "d", "b wait"]
    assert [report.shard for report in reports] == ["a", "c", "d", "b"]


@pytest.mark.parametrize("count", [0, 1, MOST_TASKS, MOST_TASKS + 1, 40_000])
def test_a_corpus_of_any_size_is_at_most_two_thousand_tasks_with_every_shard_once(count: int) -> None:
    tasks = tasks_of([f"s{number}" for number in range(count)])
    assert [shard for shards in tasks for shard in shards] == [f"s{number}" for number in range(count)]
    assert len(tasks) == min(count, MOST_TASKS)
    sizes = {len(shards) for shards in tasks}
    assert max(sizes, default=0) - min(sizes, default=0) <= 1


def test_a_shard_that_fails_does_not_keep_the_others_of_its_task_from_being_done() -> None:
    done: list[str] = []

    def run_one(shard: str) -> str:
        if shard == "b":
            raise ValueError("disk")
        done.append(shard)
        return shard

    with pytest.raises(ValueError, match="disk"):
        run_each(run_one, ("a", "b", "c"))
    assert done == ["a", "c"]
    assert run_each(run_one, ("a", "c")) == ["a", "c"]


def test_without_work_there_is_nothing_to_do() -> None:
    assert run_all("segment clips", [], width=1) == []
