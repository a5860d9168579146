"""`python -m valle.codec_training ORDER.json`: train the embedded codec; SIGTERM saves and ends."""

import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from valle.audio import AudioLocation
from valle.codec_training.loop import TrainingReport, train_codec
from valle.codec_training.options import CodecTrainingOptions
from valle.process import prepare_process
from warehouse.errors import PipelineError


class TrainingOrder(BaseModel):
    """Clips, run directory and options of a training, as the flow writes them to a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_directory: Path
    clips: tuple[AudioLocation, ...]
    options: CodecTrainingOptions
    threads: int


def format_line(report: TrainingReport) -> str:
    """Format a report as a line of the log."""
    losses = " ".join(f"{name} {value:.4g}" for name, value in report.metrics.items())
    return f"step {report.num_steps} {report.stage}  ETA {report.seconds_left / 60:.0f} min  {losses}"


def main(arguments: Sequence[str]) -> int:
    """Train; return 0 when the schedule or a signal ended it, 1 after one sentence about an error."""
    [path] = arguments
    order = TrainingOrder.model_validate_json(Path(path).read_text(encoding="utf-8"))
    prepare_process(order.threads)
    is_stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: is_stopping.set())
    try:
        result = train_codec(
            order.options,
            order.clips,
            order.run_directory,
            should_stop=is_stopping.is_set,
            on_report=lambda report: print(format_line(report), flush=True),  # noqa: T201 - the flow reads it
        )
    except PipelineError as error:
        print(error, flush=True)  # noqa: T201 - the last words of a failed training
        return 1
    ended = "finished" if result.is_finished else "stopped"
    print(f"{ended} at step {result.num_steps}: {result.checkpoint}", flush=True)  # noqa: T201 - the flow reads it
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
