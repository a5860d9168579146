"""`valle train-codec`: train the embedded codec on the audio of a training set, or on folders of audio."""

import signal
import threading
from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field

from valle.audio import AudioLocation
from valle.cli.arguments import parse, say
from valle.codec.options import CodecTrainingOptions
from valle.codec.training import TrainingReport, train_codec
from valle.codec.training_data import find_clips
from valle.codec.weights_file import EMBEDDED
from valle.data.training_set import load_training_set
from valle.place import Place, place
from warehouse.catalogue import connect
from warehouse.errors import ConfigurationError


class TrainCodecOptions(BaseModel):
    """Train the embedded codec; a run that exists goes on."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    run: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")
    """Name of the run, a folder below `runs`."""
    training_set: str | None = None
    """Name of a training set: the audio of its train split."""
    audio: list[Path] = []
    """Folders of audio, instead of a training set."""
    hours: float = Field(default=1.5, gt=0)
    """Length of the schedule, all sittings together."""
    keep_codes: bool = False
    """Keep encoder and codebooks of the codec that is shipped, so that stored codes stay valid; learn its decoder."""
    adversarial_from: float = Field(default=1.0, ge=0, le=1)
    """Part of the schedule after which the decoder learns against critics; 1 is never."""
    threads: int = Field(default=1, ge=1)
    """CPU threads."""
    data: Path | None = None
    """Root of all data; by default `VALLE_DATA`, or `data` in the current folder."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Train until the schedule, or SIGTERM, ends it."""
    options = parse(TrainCodecOptions, command, arguments)
    if (options.training_set is None) == (not options.audio):
        raise ConfigurationError("Name either --training-set or at least one --audio folder.")
    root = place(options.data)
    clips = (
        _clips_of_set(root, options.training_set)
        if options.training_set is not None
        else [clip for folder in options.audio for clip in find_clips(folder)]
    )
    torch.set_num_threads(options.threads)
    is_stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: is_stopping.set())
    result = train_codec(
        CodecTrainingOptions(
            hours=options.hours,
            keep_codes_of=EMBEDDED if options.keep_codes else None,
            adversarial_from=options.adversarial_from,
        ),
        clips,
        root.runs / options.run,
        should_stop=is_stopping.is_set,
        listener=_show,
    )
    say(f"{'Finished' if result.is_finished else 'Stopped'} at step {result.num_steps}: {result.checkpoint}")
    return 0


def _clips_of_set(root: Place, name: str) -> list[AudioLocation]:
    """The audio of the train split, in the order of the segment ids."""
    training_set = load_training_set(root.training_sets / name)
    with connect(root.lake.snapshot(training_set.card.table_versions)) as connection:
        connection.register("items", training_set.split("train"))
        rows = connection.execute(
            'SELECT u.path, u."offset", u.size, u.start_sample, u.num_samples FROM utterances u '
            "SEMI JOIN items i ON i.segment_id = u.segment_id ORDER BY u.segment_id"
        ).fetchall()
    return [AudioLocation(*row) for row in rows]


def _show(report: TrainingReport) -> None:
    losses = " ".join(f"{name} {value:.4g}" for name, value in report.metrics.items())
    say(f"step {report.num_steps} {report.stage}  ETA {report.seconds_left / 60:.0f} min  {losses}")
