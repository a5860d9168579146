"""`python -m valle.codec_training ORDER.json`: train the embedded codec; SIGTERM saves and ends."""

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
    """Clips, run directory and options of a training, as the flow writes them to a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_directory: Path
    clips: tuple[AudioLocation, ...]
    hours: float
    codes: CodesToLearn
    adversarial_from: float
    learning_rate: float
    asr_encoder: str | None
    asr_loss_weight: float
    repulsion: float
    speeds: tuple[float, float]
    half_backbones: bool
    threads: int

    @property
    def options(self) -> CodecTrainingOptions:
        """Return the training options; fields that the order lacks keep their defaults."""
        return CodecTrainingOptions(
            hours=self.hours,
            start_from=None if self.codes == "new" else EMBEDDED,
            adversarial_from=self.adversarial_from,
            learning_rate=self.learning_rate,
            asr_encoder=self.asr_encoder,
            asr_loss_weight=self.asr_loss_weight,
            repulsion=self.repulsion,
            speeds=self.speeds,
            half_backbones=self.half_backbones,
        )


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
