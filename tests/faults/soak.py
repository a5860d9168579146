"""Thousands of shard tasks through one server: `python -m tests.faults.soak --data FOLDER`.

A flow sends tasks as every stage sends them, but with nothing to do, so what is measured is Prefect. No task may fail,
the server may report no error, and its database may grow by no more than a kilobyte per minute of audio over the
pipeline: a shard of LibriLight of the default size (64 MB) is about an hour and passes through seven tasks.
"""

import argparse
import json
import os
import re
import sqlite3
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from uuid import UUID

import psutil
from prefect import Task, flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, TaskRunFilter, TaskRunFilterStateType
from prefect.client.schemas.filters import TaskRunFilterState as StateFilter
from prefect.client.schemas.objects import StateType
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    temporary_settings,
)

from flows.parameters import Workers
from flows.runtime.runner import Work, run_all, shards_task, task_runner
from flows.runtime.where import run_id
from flows.server.local_server import HEARTBEAT_SECONDS, LocalServer
from flows.server.password import read_password
from tests.local_server import throwaway_server, wait_until
from valle.data_root import DataRoot
from valle.stages.base import Stage
from valle.stages.segment import Segment
from warehouse.shard_runs import ShardReport

MINUTES_OF_A_SHARD = 63.0
"""64 MB of LibriLight, whose 577 hours of `small` are 35 GB."""
TASKS_OF_A_SHARD = 7
LARGEST_BYTES = 1024.0


def nothing(
    label: str, stage: Stage, corpus: str, shards: tuple[str, ...], root: DataRoot, workers: Workers, run: str
) -> list[ShardReport]:
    """Return the reports of shards that need nothing."""
    return [
        ShardReport(
            stage=stage.name,
            corpus=corpus,
            shard=shard,
            rows_in=0,
            rows_out=0,
            drops={},
            audio_seconds=0.0,
            wall_seconds=0.0,
        )
        for shard in shards
    ]


idle_task = Task(
    nothing,
    name=shards_task.name,
    task_run_name=shards_task.task_run_name,
    retries=shards_task.retries,
    retry_delay_seconds=shards_task.retry_delay_seconds,
    retry_jitter_factor=shards_task.retry_jitter_factor,
    cache_policy=shards_task.cache_policy,
    persist_result=shards_task.persist_result,
)


@flow(name="soak", validate_parameters=False)
def soak(root: DataRoot, tasks: int, width: int) -> tuple[str, int]:
    """Send `tasks` shard tasks; the id of the run and the number of reports."""
    workers, run = Workers(width=width), run_id()
    with task_runner(workers) as runner:

        def work(shard: str) -> Work:
            same = {"stage": Segment(), "corpus": "soak", "root": root, "workers": workers, "run": run}
            return Work(
                label=shard,
                shards=(shard,),
                audio_seconds=60.0 * MINUTES_OF_A_SHARD,
                submit=lambda shards, _wait: runner.submit(idle_task, same | {"label": shard, "shards": shards}),
            )

        reports = run_all("soak", [work(f"{number:06d}") for number in range(tasks)], width=width)
    return run, len(reports)


def database_bytes(server: LocalServer) -> int:
    """Size of the server's database with everything that waits in its log."""
    with closing(sqlite3.connect(server.home / "prefect.db", timeout=120)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return (server.home / "prefect.db").stat().st_size


def completed(client: SyncPrefectClient, run: str) -> int:
    """Task runs of a flow run that the server knows to be completed."""
    counted = client.request(
        "POST",
        "/task_runs/count",
        json={
            "flow_runs": FlowRunFilter(id=FlowRunFilterId(any_=[UUID(run)])).model_dump(mode="json"),
            "task_runs": TaskRunFilter(
                state=StateFilter(type=TaskRunFilterStateType(any_=[StateType.COMPLETED]))
            ).model_dump(mode="json"),
        },
    )
    return int(counted.raise_for_status().json())


def log_sizes(server: LocalServer) -> dict[Path, int]:
    """Return the sizes of the logs of server, workers and supervisor."""
    return {path: path.stat().st_size for path in sorted(server.logs.glob("*.log"))}


def errors_of(server: LocalServer, since: Mapping[Path, int]) -> list[str]:
    """Return the logged errors since then, and the answers of the server with a status of 500 or more."""
    wrong = re.compile(r"\| (ERROR|CRITICAL) |database is locked|HTTP/1\.1\" 5\d\d")
    texts = [path.read_bytes()[since.get(path, 0) :].decode(errors="replace") for path in log_sizes(server)]
    return [line for text in texts for line in text.splitlines() if wrong.search(line)]


def send(server: LocalServer, client: SyncPrefectClient, *, tasks: int, width: int) -> dict[str, float]:
    """One run of `tasks` tasks, `width` at a time, until the server knows all of them: what it cost."""
    before, began = database_bytes(server), time.monotonic()
    # Without heartbeats the server crashes the run.
    settings = {
        PREFECT_API_URL: server.api_url,
        PREFECT_API_AUTH_STRING: read_password(server.home),
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: HEARTBEAT_SECONDS,
    }
    with temporary_settings(updates=settings):
        run, reports = soak(DataRoot(server.data), tasks, width)
    seconds = time.monotonic() - began
    assert reports == tasks
    # States of tasks reach the database a little later than the flow ends.
    wait_until(lambda: completed(client, run) == tasks, 600, pause=2.0)
    time.sleep(10)
    return {
        "width": width,
        "tasks": tasks,
        "tasks per second": round(tasks / seconds, 2),
        "bytes of the database per task": round((database_bytes(server) - before) / tasks),
        "load": round(os.getloadavg()[0], 1),
    }


def main(arguments: Sequence[str]) -> None:
    """Send the tasks, and print what they cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=2000, help="tasks in all")
    parser.add_argument("--width", type=int, nargs="+", default=[1, 4, 8], help="tasks at a time, in runs of their own")
    parser.add_argument("--data", type=Path, required=True, help="an empty folder")
    options = parser.parse_args(arguments)
    with throwaway_server(options.data.resolve() / "server") as (server, client):
        process = psutil.Process(server.running()["server"])
        before, logged = database_bytes(server), log_sizes(server)
        seconds, megabytes = sum(process.cpu_times()[:2]), process.memory_info().rss >> 20
        for number, width in enumerate(options.width):
            tasks = options.tasks * (number + 1) // len(options.width) - options.tasks * number // len(options.width)
            _tell(send(server, client, tasks=tasks, width=width))
        per_task = (database_bytes(server) - before) / options.tasks
        per_minute = per_task / MINUTES_OF_A_SHARD
        errors = errors_of(server, logged)
        _tell(
            {
                "tasks": options.tasks,
                "errors": len(errors),
                "bytes of the database per task": round(per_task),
                "bytes of the database per minute of audio": round(per_minute),
                "in the whole pipeline": round(per_minute * TASKS_OF_A_SHARD),
                "processor seconds of the server": round(sum(process.cpu_times()[:2]) - seconds),
                "megabytes of the server, before and after": [megabytes, process.memory_info().rss >> 20],
            }
        )
    assert not errors, f"{len(errors)} errors, the first is {errors[0]}"
    on_the_road = per_minute * TASKS_OF_A_SHARD
    assert on_the_road < LARGEST_BYTES, f"{on_the_road:.0f} bytes per minute of audio are too many"


def _tell(found: object) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
