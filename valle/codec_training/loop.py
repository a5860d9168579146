"""Train the embedded codec on one CPU: compute its codes, then learn a decoder.

The decoder first predicts band energies, then waveforms, then optionally trains against a discriminator. A run may stop
at any time; it resumes with the same weights, optimizer states and random draws.
"""

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from valle.audio import Audio, AudioLocation, write_audio
from valle.codec_training.dataset import SpeechPool, open_speech_pool
from valle.codec_training.options import CodecTrainingOptions
from valle.codec_training.trainer import Metrics, Trainer, stage_at
from valle.reporting import write_text
from valle.state_files import read_state, write_state
from warehouse.errors import CheckpointError
from warehouse.files import atomic_write

log = logging.getLogger(__name__)
CHECKPOINT = "checkpoint.safetensors"
METRICS_EVERY = 20
LONGEST_EXAMPLE = 6.0  # seconds


@dataclass(frozen=True, slots=True)
class CodecTrainingResult:
    """State of a run when `train_codec` returns."""

    checkpoint: Path
    num_steps: int
    seconds: float
    is_finished: bool


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """Progress of a run: step, stage, time left and losses."""

    num_steps: int
    stage: str
    progress: float
    seconds_left: float
    metrics: Metrics


def _write_checkpoint(trainer: Trainer, seconds: float, directory: Path) -> Path:
    path = directory / CHECKPOINT
    state = {"trainer": trainer.state(), "seconds": seconds, "config": trainer.options.config.to_json()}
    with atomic_write(path) as temporary:
        write_state(temporary, state)
    return path


def _read_checkpoint(trainer: Trainer, directory: Path) -> float:
    """Restore the trainer from the run directory and return the seconds trained so far, 0 for a new run."""
    path = directory / CHECKPOINT
    if not path.exists():
        return 0.0
    saved = read_state(path)
    if saved["config"] != trainer.options.config.to_json():
        raise CheckpointError(f"{path} holds a network of another shape; give another run directory")
    trainer.restore(saved["trainer"])
    return float(saved["seconds"])


def _write_examples(trainer: Trainer, pool: SpeechPool, directory: Path) -> None:
    if not trainer.has_filters:
        return  # Before, the decoder produces no speech.
    config, rate = trainer.options.config, trainer.options.config.sample_rate
    for clip in np.linspace(0, len(pool.starts) - 2, trainer.options.num_examples).astype(int):
        original = pool.clip(clip)[: int(LONGEST_EXAMPLE * rate) // config.hop_length * config.hop_length]
        output = trainer.reconstruct(torch.from_numpy(original)[None])[0].numpy()
        folder = directory / "examples"
        write_audio(folder / f"{clip:05d}_original.wav", Audio(original, rate))
        write_audio(folder / f"{clip:05d}_step{trainer.num_steps:06d}.wav", Audio(output, rate))


@dataclass
class _Clock:
    """Seconds trained over all sessions, and the progress of the schedule by time or by steps."""

    options: CodecTrainingOptions
    seconds_before: float
    started: float

    @property
    def seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.started

    def progress(self, num_steps: int) -> float:
        if self.options.hours is None:
            return num_steps / self.options.num_steps
        return self.seconds / (self.options.hours * 3600)

    def seconds_left(self, num_steps: int) -> float:
        progress = self.progress(num_steps)
        return max(0.0, self.seconds / progress - self.seconds) if progress else 0.0


def _report(trainer: Trainer, clock: _Clock, metrics: Metrics, directory: Path) -> TrainingReport:
    progress = clock.progress(trainer.num_steps)
    stage = str(stage_at(progress, trainer.options))
    report = TrainingReport(trainer.num_steps, stage, progress, clock.seconds_left(trainer.num_steps), metrics)
    line = {"step": report.num_steps, "seconds": round(clock.seconds, 1), "stage": stage} | metrics
    with (directory / "metrics.jsonl").open("a") as output:
        output.write(json.dumps(line) + "\n")
    return report


def train_codec(
    options: CodecTrainingOptions,
    clips: Sequence[AudioLocation],
    run_directory: Path,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    on_report: Callable[[TrainingReport], None] = lambda report: None,
) -> CodecTrainingResult:
    """Train or resume the embedded codec on `clips` in `run_directory`.

    Writes `checkpoint.safetensors` (atomically), `metrics.jsonl`, `options.json` and `examples/`. `should_stop` is
    called after every step and ends the session with a checkpoint; `on_report` is called every few steps. Raises
    TrainingError for unusable clips and CheckpointError for a run directory with a network of another shape.
    """
    pool = open_speech_pool(
        clips, run_directory, sample_rate=options.config.sample_rate, hop_length=options.config.hop_length
    )
    trainer = Trainer(options, pool)
    clock = _Clock(options, _read_checkpoint(trainer, run_directory), time.monotonic())
    write_text(run_directory / "options.json", json.dumps(asdict(options), indent=1, default=str))
    saved_at = shown_at = time.monotonic()
    while (progress := clock.progress(trainer.num_steps)) < 1:
        metrics = trainer.step(progress)
        if trainer.num_steps % METRICS_EVERY == 0:
            on_report(_report(trainer, clock, metrics, run_directory))
        if should_stop():
            break
        if time.monotonic() - saved_at > options.checkpoint_seconds:
            _write_checkpoint(trainer, clock.seconds, run_directory)
            saved_at = time.monotonic()
        if time.monotonic() - shown_at > options.example_seconds:
            _write_examples(trainer, pool, run_directory)
            shown_at = time.monotonic()
    checkpoint = _write_checkpoint(trainer, clock.seconds, run_directory)
    is_finished = clock.progress(trainer.num_steps) >= 1
    return CodecTrainingResult(checkpoint, trainer.num_steps, clock.seconds, is_finished)
