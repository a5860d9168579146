"""A trace of some updates by torch's profiler, for chrome://tracing or Perfetto."""

from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType

import torch
from torch.profiler import ProfilerActivity, profile, schedule

_WAIT, _WARMUP = 3, 1
"""Updates before the trace: the first ones allocate memory and choose kernels."""


class StepProfiler(AbstractContextManager["StepProfiler"]):
    """Traces `count` updates of a training into `trace.json` of a folder; does nothing for 0."""

    def __init__(self, count: int, folder: Path) -> None:
        self._stack = ExitStack()
        self._profiler: profile | None = None
        if count:
            folder.mkdir(parents=True, exist_ok=True)
            activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
            self._profiler = profile(
                activities=activities,
                schedule=schedule(wait=_WAIT, warmup=_WARMUP, active=count, repeat=1),
                on_trace_ready=lambda done: done.export_chrome_trace(str(folder / "trace.json")),
                profile_memory=True,
            )

    def __enter__(self) -> "StepProfiler":
        """Start to count updates."""
        if self._profiler is not None:
            self._stack.enter_context(self._profiler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the trace, if it is not yet written."""
        self._stack.close()

    def step(self) -> None:
        """Count one update."""
        if self._profiler is not None:
            self._profiler.step()
