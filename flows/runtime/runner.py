"""Run stages: map their shards over Prefect tasks: bounded width, retries with jitter, reports, one progress artifact.

A task is a shard, never an utterance; of a corpus with more than `MOST_TASKS` shards it is several, since each task
costs the server 5 KB of its database for good. Tasks return small reports and cache nothing: the lake records what is
done. At most twice the width is submitted at a time, so a corpus of 40,000 shards is never one queue.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner
from prefect.tasks import exponential_backoff

from flows.machine.devices import leased_backends
from flows.machine.local_tasks import LocalTaskRunner
from flows.runtime.notices import notify
from flows.runtime.progress import ProgressReporter
from flows.runtime.shutdown import leave_shards_when_stopped
from flows.runtime.where import is_on_server, run_id, run_logger
from valle.stages.base import Stage
from valle.stages.runner import Job, plan, set_active_configurations, try_shard
from warehouse.catalogue.planning import ShardPlan
from warehouse.errors import DependencyError, StageError
from warehouse.shard_runs import ShardReport

if TYPE_CHECKING:
    from flows.machine.workers import Workers
    from valle.data_root import DataRoot

logger = logging.getLogger(__name__)
ReportT = TypeVar("ReportT")
ShardT = TypeVar("ShardT")
MOST_TASKS = 2_000
"""Tasks of one stage on one corpus, before retries."""
# Failures that pass, such as a busy network mount, cost a retry; a shard that fails three times more is reported.
_RETRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One call of a task: its label, its shards, their seconds of audio, and a function that submits some of them.

    The task returns a report for each shard, None when another run holds the claim on it; submitted with `wait=True`
    it waits for that run.
    """

    label: str
    shards: tuple[str, ...]
    audio_seconds: float
    submit: Callable[[tuple[str, ...], bool], FutureReports]


class FutureReports(Protocol):
    """The reports of the shards of a task to come."""

    def result(self, raise_on_failure: bool) -> Any:
        """Wait for the reports; without `raise_on_failure` return what the task failed with."""


def task_runner(workers: Workers) -> TaskRunner[Any] | LocalTaskRunner:
    """Return the task runner of `workers`: Prefect's, or that of a command without a server.

    Raises DependencyError when its library is not installed.
    """
    if workers.is_local and not is_on_server():
        return LocalTaskRunner(width=workers.slots, in_processes=workers.runner == "processes")
    if workers.runner == "processes":
        return ProcessPoolTaskRunner(max_workers=workers.slots)
    if workers.runner == "dask":
        return _dask(workers)
    if workers.runner == "ray":
        return _ray(workers)
    return ThreadPoolTaskRunner(max_workers=workers.slots)


def _dask(workers: Workers) -> TaskRunner[Any]:
    library = _import_optional("prefect_dask", extra="cluster")
    if workers.address:
        return cast(TaskRunner[Any], library.DaskTaskRunner(address=workers.address))
    local = {"n_workers": workers.slots, "threads_per_worker": 1}
    return cast(TaskRunner[Any], library.DaskTaskRunner(cluster_kwargs=local))


def _ray(workers: Workers) -> TaskRunner[Any]:
    library = _import_optional("prefect_ray", extra="ray")
    if workers.address:
        return cast(TaskRunner[Any], library.RayTaskRunner(address=workers.address))
    # Without the address `local` Ray joins any cluster that it finds on this machine.
    local = {"num_cpus": workers.slots, "include_dashboard": False}
    return cast(TaskRunner[Any], library.RayTaskRunner(address="local", init_kwargs=local))


def _import_optional(library: str, *, extra: str) -> Any:
    try:
        return import_module(library)
    except ImportError as error:
        raise DependencyError(f"{library} is not installed; `pip install '.[{extra}]'`.") from error


@task(
    task_run_name="{stage.name} {label}",
    retries=_RETRIES,
    retry_delay_seconds=exponential_backoff(2),
    retry_jitter_factor=0.5,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def shards_task(
    label: str,
    stage: Stage,
    corpus: str,
    shards: tuple[str, ...],
    root: DataRoot,
    workers: Workers,
    run: str,
    *,
    wait: bool,
) -> list[ShardReport | None]:
    """Run one stage on shards, one after the other; None for one whose claim another run holds if `wait` is false."""
    with leased_backends(workers, run) as backends:

        def run_one(shard: str) -> ShardReport | None:
            return try_shard(
                stage, corpus=corpus, shard=shard, lake=root.lake, backends=backends, run_id=run, wait=wait
            )

        return run_each(run_one, shards)


def run_each(run_one: Callable[[str], ReportT], shards: Sequence[str]) -> list[ReportT]:
    """Run every shard of a task, and then raise the first failure: a retry of the task has only failed shards to do."""
    reports: list[ReportT] = []
    failures: list[Exception] = []
    for shard in shards:
        try:
            reports.append(run_one(shard))
        except Exception as error:
            if len(shards) > 1:
                logger.warning("shard %s failed; the others of its task are done first", shard, exc_info=error)
            failures.append(error)
    if failures:
        raise failures[0]
    return reports


def tasks_of(shards: Sequence[ShardT]) -> list[tuple[ShardT, ...]]:
    """Divide shards, in their order, among at most `MOST_TASKS` tasks, each with as many as the others or one less."""
    count = min(MOST_TASKS, len(shards))
    bounds = [number * len(shards) // max(1, count) for number in range(count + 1)]
    return [tuple(shards[start:end]) for start, end in pairwise(bounds)]


def label_of(shards: Sequence[str]) -> str:
    """Return the name of a task in lists: its first shard, and how many follow."""
    return shards[0] if len(shards) == 1 else f"{shards[0]} and {len(shards) - 1} more"


def run_stage(stage: Stage, corpus: str, root: DataRoot, workers: Workers) -> list[ShardReport]:
    """Run `stage` on the shards of `corpus` that need it."""
    return run_jobs(f"{stage.name} {corpus}", [Job(stage, corpus)], root, workers)


def run_jobs(name: str, jobs: Sequence[Job], root: DataRoot, workers: Workers) -> list[ShardReport]:
    """Run the shards that the jobs need, all in one pool: no job may read rows that another writes."""
    plans = [plan(job.stage, job.corpus, root.catalogue.connection()) for job in jobs]
    outdated = [job for job, todo in zip(jobs, plans, strict=True) if not todo.is_active]
    for job in set_active_configurations(outdated, root.lake):
        run_logger().info("%s %s: new active configuration", job.stage.name, job.corpus)
    run = run_id()
    with task_runner(workers) as runner:
        work = [
            _work(runner, job, shards, root, workers, run)
            for job, todo in zip(jobs, plans, strict=True)
            for shards in tasks_of(todo.shards_for(run))
        ]
        return run_all(name, work, width=workers.slots)


def _work(
    runner: TaskRunner[Any] | LocalTaskRunner,
    job: Job,
    plans: Sequence[ShardPlan],
    root: DataRoot,
    workers: Workers,
    run: str,
) -> Work:
    same = {"stage": job.stage, "corpus": job.corpus, "root": root, "workers": workers, "run": run}

    def submit(shards: tuple[str, ...], wait: bool) -> FutureReports:
        return runner.submit(shards_task, same | {"label": label_of(shards), "shards": shards, "wait": wait})

    shards = tuple(plan.shard for plan in plans)
    return Work(
        label=f"{job.stage.name} {label_of(shards)}",
        shards=shards,
        audio_seconds=sum(plan.audio_seconds for plan in plans),
        submit=submit,
    )


def run_all(name: str, work: Sequence[Work], *, width: int) -> list[ShardReport]:
    """Submit all work, at most `2 * width` at a time, and report the progress.

    Shards that another run has claimed come last, in case that run does not finish it. Raises StageError at the end
    when a shard failed after its retries; the other shards are committed.
    """
    if not work:
        notify("%s: nothing to do", name)
        return []
    total, num_shards = sum(item.audio_seconds for item in work), sum(len(item.shards) for item in work)
    # The seconds of a corpus are unknown before it is read: ingest counts shards.
    progress = ProgressReporter(name, total or float(num_shards), "s of audio" if total else "shards")
    progress.add(0.0)
    reports: list[ShardReport] = []
    failures: list[str] = []
    claimed: list[Work] = []
    with leave_shards_when_stopped():
        for is_second_round in (False, True):
            # Waiting for a claim blocks a task slot, so claimed shards wait until all others are done.
            if is_second_round and claimed:
                waiting = sum(len(item.shards) for item in claimed)
                notify("%s: another run is working on %d of %d shards; waiting for it", name, waiting, num_shards)
            for item, outcome in _outcomes(claimed if is_second_round else work, width, wait=is_second_round):
                done = 1.0
                if isinstance(outcome, list):
                    reports += [report for report in outcome if report is not None]
                    left = _left_of(item, outcome)
                    claimed += left
                    done -= sum(len(one.shards) for one in left) / len(item.shards)
                else:
                    failures.append(f"{item.label} ({outcome})")
                progress.add(done * (item.audio_seconds if total else len(item.shards)))
    if failures:
        raise StageError(
            f"{name}: {len(failures)} of {len(work)} {'shards' if num_shards == len(work) else 'tasks'} failed, the "
            f"first is {failures[0]}; the others are committed. Run it again to retry."
        )
    return reports


def _left_of(item: Work, outcome: Sequence[ShardReport | None]) -> list[Work]:
    """Return the work on the shards that other runs have claimed, if there are any."""
    shards = tuple(shard for shard, report in zip(item.shards, outcome, strict=True) if report is None)
    seconds = item.audio_seconds * len(shards) / len(item.shards)
    return [replace(item, shards=shards, audio_seconds=seconds)] if shards else []


def _outcomes(work: Iterable[Work], width: int, *, wait: bool) -> Iterator[tuple[Work, Any]]:
    """Yield each item with the reports of its shards, or the exception or failed state of its task."""
    submitted: deque[tuple[Work, FutureReports]] = deque()
    for item in work:
        submitted.append((item, item.submit(item.shards, wait)))
        # Twice the width: a worker that finishes finds its next shard submitted.
        if len(submitted) == 2 * width:
            yield _finished(*submitted.popleft())
    while submitted:
        yield _finished(*submitted.popleft())


def _finished(item: Work, future: FutureReports) -> tuple[Work, Any]:
    # A failed shard must not end the others.
    return item, future.result(raise_on_failure=False)
