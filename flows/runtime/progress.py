"""Progress of a flow run: one Prefect artifact that is updated in place, and log records for the terminal."""

import time
from contextlib import suppress
from uuid import UUID

import httpx
from prefect.artifacts import create_progress_artifact, update_progress_artifact

from flows.runtime.artifacts import artifact_key
from flows.runtime.terminal import PROGRESS, ProgressUpdate
from flows.runtime.where import is_on_server, run_logger

# Each update is a request to the server; one per shard would be thousands.
_SECONDS_BETWEEN_UPDATES = 2.0


class ProgressReporter:
    """Report how much of `total` is done, at most every `interval` seconds and when all is done.

    A server that is down misses updates; the work continues.
    """

    def __init__(
        self, name: str, total: float, unit: str, *, key: str | None = None, interval: float = _SECONDS_BETWEEN_UPDATES
    ) -> None:
        self.name = name
        self.total = total
        self.unit = unit
        self.key = artifact_key(key or f"progress {name}")
        self._interval = interval
        self._artifact: UUID | None = None
        self._done = 0.0
        self._started = time.monotonic()
        self._reported: float | None = None

    def add(self, amount: float) -> None:
        """Count `amount` of the unit as done and report it."""
        self.set_done(self._done + amount)

    def set_done(self, done: float, *, seconds_left: float | None = None, note: str = "") -> None:
        """Report that `done` of the total is done; without `seconds_left` it follows from the rate so far."""
        self._done = done
        now = time.monotonic()
        is_due = self._reported is None or now - self._reported >= self._interval
        if is_due or done >= self.total:
            self._reported = now
            self._report(self._update(now, seconds_left, note))

    def _update(self, now: float, seconds_left: float | None, note: str) -> ProgressUpdate:
        elapsed = now - self._started
        rate = self._done / elapsed if elapsed > 0 else 0.0
        if seconds_left is None and rate > 0:
            seconds_left = max(0.0, (self.total - self._done) / rate)
        return ProgressUpdate(
            name=self.name,
            done=self._done,
            total=self.total,
            unit=self.unit,
            rate=rate,
            seconds_left=seconds_left,
            note=note,
        )

    def _report(self, update: ProgressUpdate) -> None:
        run_logger().info("%s: %s", self.name, update.describe(), extra={PROGRESS: update})
        if not is_on_server():
            return
        # Prefect raises RuntimeError for a server that it cannot reach at all.
        with suppress(httpx.HTTPError, RuntimeError):
            self._update_artifact(update)

    def _update_artifact(self, update: ProgressUpdate) -> None:
        if self._artifact is None:
            created = create_progress_artifact(progress=update.percent, key=self.key, description=update.describe())
            assert isinstance(created, UUID)
            self._artifact = created
        else:
            update_progress_artifact(artifact_id=self._artifact, progress=update.percent, description=update.describe())
