"""Progress of a training, read from the `metrics.jsonl` of its run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows.runtime.progress import ProgressReporter

# Each update is a request to the server, and a step takes less than a second.
_SECONDS_BETWEEN_UPDATES = 10.0


class TrainingProgress:
    """Report the steps that a trainer appends to its metrics file."""

    def __init__(self, run: str, metrics: Path) -> None:
        self._run = run
        self._metrics = MetricsTail(metrics)
        self._reporter: ProgressReporter | None = None

    def poll(self) -> None:
        """Report the newest step, if there is a new one."""
        for line in self._metrics.read_new():
            if "eta" in line and "max_steps" in line:  # a line of training; lines of the dev set have no rate
                self._report(line)

    def _report(self, line: Mapping[str, Any]) -> None:
        if self._reporter is None:
            self._reporter = ProgressReporter(
                f"train {self._run}", float(line["max_steps"]), "steps", interval=_SECONDS_BETWEEN_UPDATES
            )
        losses = [f"{name} {line[name]:.3f}" for name in ("loss", "loss_ar", "loss_nar") if line.get(name) is not None]
        self._reporter.set_done(float(line["step"]), seconds_left=float(line["eta"]), note=", ".join(losses))


class MetricsTail:
    """The lines appended to a metrics file since the last call; lines that exist at first are skipped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = self._size()

    def read_new(self) -> list[dict[str, Any]]:
        """Return the new complete lines."""
        # A resumed run rewrites its file without the lines after its checkpoint.
        self._offset = min(self._offset, self._size())
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                content = file.read()
        except FileNotFoundError:
            return []
        # The trainer may be writing the last line.
        complete = content[: content.rfind(b"\n") + 1]
        self._offset += len(complete)
        return [found for line in complete.splitlines() if (found := _parse(line)) is not None]

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None  # the rest of a line that was cut when the file was rewritten
    return found if isinstance(found, dict) else None
