"""How far a training is, for the Prefect UI: one progress artifact that is updated in place."""

import re
import time
from contextlib import suppress
from uuid import UUID

import httpx
from prefect.artifacts import create_progress_artifact, update_progress_artifact

from flows.runtime.artifacts import artifact_key

_LINE = re.compile(r"step (?P<step>\d+)/(?P<steps>\d+)\s+(?P<measured>.*?)\s+ETA (?P<left>\S+)")
_SECONDS_BETWEEN = 10.0


class TrainingProgress:
    """Reads what a trainer says, and now and then tells the server of it."""

    def __init__(self, run: str) -> None:
        self.key = artifact_key(f"progress train {run}")
        self._artifact: UUID | None = None
        self._not_before = 0.0

    def read(self, line: str) -> None:
        """Tell the server what a line says; a server that is down just now hears of a later one."""
        found = _LINE.match(line)
        if found is None:
            return
        step, steps = int(found["step"]), int(found["steps"])
        if step < steps and time.monotonic() < self._not_before:
            return
        self._not_before = time.monotonic() + _SECONDS_BETWEEN
        share = min(100.0, 100 * step / steps)
        text = f"{share:.1f} %, {found['left']} left: step {step:,} of {steps:,}, {found['measured']}"
        with suppress(httpx.HTTPError, RuntimeError):
            self._tell(share, text)

    def _tell(self, share: float, text: str) -> None:
        if self._artifact is None:
            created = create_progress_artifact(progress=share, key=self.key, description=text)
            assert isinstance(created, UUID)
            self._artifact = created
        else:
            update_progress_artifact(artifact_id=self._artifact, progress=share, description=text)
