"""Run flows in two places: under a Prefect server, or plainly in the process of a command.

A command on one machine needs no server: `call` and `submit` then run the plain function of a flow or task, and
`run_logger` writes to the terminal alone.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any
from uuid import uuid4

from prefect import Flow, Task, get_run_logger
from prefect.context import FlowRunContext, TaskRunContext
from prefect.runtime import flow_run

from flows.runtime.terminal import LOCAL_LOGGER


def is_on_server() -> bool:
    """Return whether a flow or task of a Prefect server runs this code."""
    return FlowRunContext.get() is not None or TaskRunContext.get() is not None


def run_logger() -> "logging.Logger | logging.LoggerAdapter[logging.Logger]":
    """Return the logger of the run, or that of a command without a server."""
    return get_run_logger() if is_on_server() else logging.getLogger(LOCAL_LOGGER)


def call(function: Flow[..., Any] | Task[..., Any], *arguments: Any) -> Any:
    """Call a flow or task: as a run below the current one, or as a plain function without a server."""
    return function(*arguments) if is_on_server() else function.fn(*arguments)


def submit(function: Task[..., Any], *arguments: Any) -> Callable[[], Any]:
    """Start a task beside the caller and return the function that waits for its result."""
    if is_on_server():
        return function.submit(*arguments).result
    executor = ThreadPoolExecutor(1)
    result = executor.submit(function.fn, *arguments).result
    executor.shutdown(wait=False)
    return result


def run_id() -> str:
    """Return the id of the flow run; a command without a server has one of its own."""
    return str(flow_run.id or _local_id())


@cache
def _local_id() -> str:
    return f"local-{uuid4()}"
