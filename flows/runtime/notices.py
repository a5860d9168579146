"""Notices: log records of a flow that the user of a terminal reads too."""

from flows.runtime.terminal import NOTICE
from flows.runtime.where import run_logger


def notify(message: str, *arguments: object) -> None:
    """Log `message % arguments` in the run and show it on the terminal."""
    run_logger().info(message, *arguments, extra={NOTICE: True})
