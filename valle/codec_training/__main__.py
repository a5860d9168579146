"""`python -m valle.codec_training ORDER.json`: train the embedded codec as an order says; SIGTERM saves and ends."""

import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from valle.audio import AudioLocation
from valle.codec.base import CodesToLearn
from valle.codec.mini.weights_file import EMBEDDED
from valle.codec_training.loop import TrainingReport, train_codec
from valle.codec_training.options import CodecTrainingOptions
from valle.process import prepare_process
from warehouse.errors import PipelineError


class TrainingOrder(BaseModel):
    """What is to be trained on what, and where it goes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_directory: Path
    clips: tuple[AudioLocation, ...]
    hours: float
    codes: CodesToLearn
    adversarial_from: float
    learning_rate: float
    listener: str | None
    listening_weight: float
    repulsion: float
    speeds: tuple[float, float]
    half_backbones: bool
    threads: int

    @property
    def options(self) -> CodecTrainingOptions:
        """The options of the training; all that is not said here has its default."""
        return CodecTrainingOptions(
            hours=self.hours,
            start_from=None if self.codes == "new" else EMBEDDED,
            adversarial_from=self.adversarial_from,
            learning_rate=self.learning_rate,
            listener=self.listener,
            listening_weight=self.listening_weight,
            repulsion=self.repulsion,
            speeds=self.speeds,
            half_backbones=self.half_backbones,
        )


def format_line(report: TrainingReport) -> str:
    """A line of metrics for people."""
    losses = " ".join(f"{name} {value:.4g}" for name, value in report.metrics.items())
    return f"step {report.num_steps} {report.stage}  ETA {report.seconds_left / 60:.0f} min  {losses}"


def main(arguments: Sequence[str]) -> int:
    """Train; 0 when the schedule or a signal ended it, 1 with one sentence when it cannot be done."""
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
