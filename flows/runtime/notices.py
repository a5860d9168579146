"""Notices: log records of a flow that the user of a terminal reads too."""

from prefect import get_run_logger

from flows.runtime.terminal import NOTICE


def notify(message: str, *arguments: object) -> None:
    """Log `message % arguments` in the run and show it on the terminal."""
    get_run_logger().info(message, *arguments, extra={NOTICE: True})
