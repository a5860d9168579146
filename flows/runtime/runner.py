"""Mapping shards over Prefect tasks: bounded width, retries with jitter, reports, one progress artifact.

A task is a shard, never an utterance. Tasks return small reports and cache nothing: what is done is known by the
lake. At most twice the width is submitted at a time, so a corpus of 40,000 shards is never one queue.
"""

import datetime
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, cast
from uuid import UUID

import httpx
from prefect import get_run_logger, task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner
from prefect.tasks import exponential_backoff

from flows.parameters import Workers
from flows.runtime.artifacts import artifact_key
from flows.runtime.shutdown import leave_shards_when_stopped
from valle.backends.registry import Backends
from valle.data_root import DataRoot
from valle.stages.base import Stage
from valle.stages.runner import try_shard
from warehouse.catalogue.display import format_time
from warehouse.errors import DependencyError, StageError
from warehouse.shard_runs import ShardReport

_RETRIES = 3
_SECONDS_BETWEEN_PROGRESS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One call of a task: what it is called, the seconds of audio in it, and how it is submitted.

    The task answers None when another run is at the same work; submitted with True it waits for that run.
    """

    label: str
    audio_seconds: float
    submit: Callable[[bool], PrefectFuture[ShardReport | None]]


@cache
def process_backends(device: str, threads: int) -> Backends:
    """The models of this process, opened lazily and kept for its life."""
    import torch

    torch.set_num_threads(threads)
    return Backends(device=device, threads=threads)


def task_runner(workers: Workers) -> TaskRunner[Any]:
    """The Prefect task runner a setting asks for. Raises DependencyError when its library is not installed."""
    if workers.runner == "processes":
        return ProcessPoolTaskRunner(max_workers=workers.width)
    if workers.runner == "dask":
        return _dask(workers)
    if workers.runner == "ray":
        return _ray(workers)
    return ThreadPoolTaskRunner(max_workers=workers.width)


def _dask(workers: Workers) -> TaskRunner[Any]:
    library = _optional("prefect_dask", extra="cluster")
    if workers.address:
        return cast(TaskRunner[Any], library.DaskTaskRunner(address=workers.address))
    local = {"n_workers": workers.width, "threads_per_worker": 1}
    return cast(TaskRunner[Any], library.DaskTaskRunner(cluster_kwargs=local))


def _ray(workers: Workers) -> TaskRunner[Any]:
    library = _optional("prefect_ray", extra="ray")
    if workers.address:
        return cast(TaskRunner[Any], library.RayTaskRunner(address=workers.address))
    # Without the word `local` Ray joins whatever cluster it finds on this machine.
    local = {"num_cpus": workers.width, "include_dashboard": False}
    return cast(TaskRunner[Any], library.RayTaskRunner(address="local", init_kwargs=local))


def _optional(library: str, *, extra: str) -> Any:
    try:
        return import_module(library)
    except ImportError as error:
        raise DependencyError(f"{library} is not installed; `pip install '.[{extra}]'`.") from error


def run_id() -> str:
    """The id of the flow run, or `local` outside of one."""
    return str(flow_run.id or "local")


@task(
    task_run_name="{stage.name} {shard}",
    retries=_RETRIES,
    retry_delay_seconds=exponential_backoff(2),
    retry_jitter_factor=0.5,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def shard_task(
    stage: Stage, corpus: str, shard: str, root: DataRoot, workers: Workers, run: str, *, wait: bool
) -> ShardReport | None:
    """Run one stage on one shard; None when another run is at it and this one is not to wait."""
    backends = process_backends(workers.device, workers.threads)
    return try_shard(stage, corpus=corpus, shard=shard, lake=root.lake, backends=backends, run_id=run, wait=wait)


def run_all(name: str, work: Sequence[Work], *, width: int) -> list[ShardReport]:
    """Submit every piece of work, at most `2 * width` at a time, and keep the progress artifact up to date.

    What another run is at comes last, in case that run does not finish it.
    Raises StageError at the end when any shard failed after its retries; the others are done and stay done.
    """
    logger = get_run_logger()
    if not work:
        logger.info("%s: nothing to do", name)
        return []
    total = sum(piece.audio_seconds for piece in work)
    # Before a corpus is read nobody knows its seconds; then shards are counted.
    progress = Progress.start(name, total or float(len(work)), unit="s of audio" if total else "shards")
    reports: list[ShardReport] = []
    failures: list[str] = []
    waiting: deque[tuple[Work, PrefectFuture[ShardReport | None]]] = deque()
    remaining, taken = deque(work), deque[Work]()
    with leave_shards_when_stopped():
        while remaining or taken or waiting:
            while (remaining or taken) and len(waiting) < 2 * width:
                is_last = not remaining
                piece = (remaining or taken).popleft()
                waiting.append((piece, piece.submit(is_last)))
            piece, future = waiting.popleft()
            outcome = future.result(raise_on_failure=False)
            if outcome is None:
                taken.append(piece)
                continue
            if isinstance(outcome, ShardReport):
                reports.append(outcome)
            else:
                failures.append(f"{piece.label} ({outcome})")
            progress.add(piece.audio_seconds if total else 1.0)
            progress.tell(logger, at_once=not (remaining or taken or waiting))
    if failures:
        raise StageError(
            f"{name}: {len(failures)} of {len(work)} shards failed, the first is {failures[0]}; the others are done, "
            "run it again to retry."
        )
    return reports


class Progress:
    """Seconds of audio (or shards) done so far, shown as one artifact that is updated in place."""

    def __init__(self, name: str, total: float, unit: str, artifact: UUID) -> None:
        self.name = name
        self.total = total
        self.unit = unit
        self.done = 0.0
        self.artifact = artifact
        self.started = datetime.datetime.now(datetime.UTC)
        self.told: datetime.datetime | None = None

    @classmethod
    def start(cls, name: str, total: float, *, unit: str) -> "Progress":
        """Create the artifact at 0 %."""
        key = artifact_key(f"progress {name}")
        artifact = create_progress_artifact(progress=0.0, key=key, description=f"{name}: {total:,.0f} {unit}")
        return cls(name, total, unit, cast(UUID, artifact))

    def add(self, amount: float) -> None:
        """Count `amount` of the unit as done."""
        self.done += amount

    def tell(self, logger: "logging.Logger | logging.LoggerAdapter[logging.Logger]", *, at_once: bool) -> None:
        """Update the artifact and say it in the log, not more often than every few seconds unless `at_once`.

        A server that starts again just now hears of it the next time.
        """
        now = datetime.datetime.now(datetime.UTC)
        if not at_once and self.told is not None and (now - self.told).total_seconds() < _SECONDS_BETWEEN_PROGRESS:
            return
        self.told = now
        logger.info("%s: %s", self.name, self.describe())
        progress = min(100.0, 100 * self.done / self.total)
        with suppress(httpx.HTTPError, RuntimeError):
            update_progress_artifact(artifact_id=self.artifact, progress=progress, description=self.describe())

    def describe(self) -> str:
        """Share, time left, done, total and rate, in one line; a card of the UI shows its beginning."""
        elapsed = (datetime.datetime.now(datetime.UTC) - self.started).total_seconds()
        rate = self.done / elapsed if elapsed else 0.0
        left = format_time((self.total - self.done) / rate) + " left" if rate else "no rate yet"
        share = 100 * self.done / self.total
        return f"{share:.1f} %, {left}: {self.done:,.0f} of {self.total:,.0f} {self.unit}, {rate:,.1f} a second"
