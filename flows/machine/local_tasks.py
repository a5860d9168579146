"""Tasks in threads or processes of this machine without a Prefect server, with the retries of their declaration."""

import multiprocessing
import random
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from types import TracebackType
from typing import Any, Self

from prefect import Task


@dataclass(frozen=True, slots=True)
class LocalFuture:
    """The result of a task to come."""

    future: Future[Any]

    def result(self, raise_on_failure: bool = True) -> Any:
        """Wait for the result; without `raise_on_failure` return the exception of a task that failed."""
        try:
            return self.future.result()
        except Exception as error:
            if raise_on_failure:
                raise
            return error


class LocalTaskRunner:
    """Runs tasks in `width` threads or processes; `submit` as Prefect's task runners."""

    def __init__(self, *, width: int, in_processes: bool = False) -> None:
        self._executor: Executor = (
            # A forked process would inherit locks of threads that do not exist in it.
            ProcessPoolExecutor(width, mp_context=multiprocessing.get_context("spawn"))
            if in_processes
            else ThreadPoolExecutor(width, thread_name_prefix="shard")
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)

    def submit(self, task: Task[..., Any], parameters: Mapping[str, Any]) -> LocalFuture:
        """Start `task` with these arguments."""
        # By name: another process cannot unpickle the function behind a task.
        name = f"{task.fn.__module__}:{task.fn.__name__}"
        return LocalFuture(self._executor.submit(run_task, name, dict(parameters)))


def run_task(name: str, parameters: Mapping[str, Any], *, sleep: Callable[[float], None] = time.sleep) -> Any:
    """Run the function of the task MODULE:NAME; a failure is retried as often and as late as the task declares."""
    module, _, attribute = name.partition(":")
    task: Task[..., Any] = getattr(import_module(module), attribute)
    for delay in _delays(task):
        try:
            return task.fn(**parameters)
        except Exception:  # noqa: BLE001 - as Prefect, which retries any failure
            sleep(delay * random.uniform(1, 1 + (task.retry_jitter_factor or 0)))
    return task.fn(**parameters)


def _delays(task: Task[..., Any]) -> list[float]:
    delays = task.retry_delay_seconds
    listed = list(delays) if isinstance(delays, list | tuple) else [float(delays or 0)]
    return [listed[min(attempt, len(listed) - 1)] for attempt in range(task.retries or 0)]
