"""The training loop: batches in, updates, metrics, evaluations and checkpoints out; stops when told to.

A step is a pure function of the weights, the optimizer's state and the step number: data, dropout and learning rate
all follow from it. So a run that was stopped and continued ends with the same bits as one that was not (on a CPU).
"""

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import torch

from valle.checkpoints.checkpoint import (
    CheckpointCard,
    load_weights,
    publish,
    read_card,
    state_directory,
    temporary_directory,
    write_model,
)
from valle.checkpoints.runs import checkpoint_directory, latest_checkpoint
from valle.codec import open_codec
from valle.data.cursor import Cursor
from valle.data.loader import Prefetcher
from valle.data.selection.training_set import TrainingSet, load_training_set
from valle.model.batch import Batch
from valle.model.code_initialization import init_code_embeddings
from valle.model.config import ModelConfig, preset
from valle.model.valle import ValleModel
from valle.process import prepare_process
from valle.training.commands import Commands, NoCommands, StopFlag, stop_on_signals
from valle.training.data import open_data
from valle.training.engine import open_engine
from valle.training.examples import speak_examples
from valle.training.metrics import MetricsFile, Window
from valle.training.options import TrainOptions
from valle.training.schedule import learning_rate
from warehouse.errors import CheckpointError, TrainingError

log = logging.getLogger(__name__)

OnStep = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a run came to. `reason` is `finished`, `time`, `quit` or `signal`."""

    run_id: str
    step: int
    checkpoint: Path
    reason: str
    seconds: float
    metrics: Mapping[str, Any]


@dataclass(slots=True)
class _Progress:
    """Where a run is; the loop moves it on."""

    step: int = 0
    cursor: Cursor = field(default_factory=Cursor)
    seconds: float = 0.0  # of earlier processes of the run and this one
    last_saved: int = -1
    metrics: Mapping[str, Any] = field(default_factory=dict)


class _Run:
    def __init__(self, options: TrainOptions, on_step: OnStep | None, commands: Commands) -> None:
        prepare_process(options.threads or torch.get_num_threads())
        self.options = options
        self.on_step = on_step
        self.commands = commands
        self.training_set = load_training_set(options.training_set)
        found = latest_checkpoint(options.run_dir)
        self.config = model_config(self.training_set, options, found or options.start_from)
        self.data = open_data(self.training_set, self.config, options)
        self.progress = _Progress()
        torch.manual_seed(options.seed)
        model = ValleModel(self.config)
        if found is None:
            self._begin(model)
        self.engine = open_engine(model, options)
        if found is not None:
            self._continue_from(found)
        self.metrics_file = MetricsFile(options.run_dir / "metrics.jsonl", step=self.progress.step)

    def _begin(self, model: ValleModel) -> None:
        """The first weights of a run that are not random."""
        options, spec = self.options, self.training_set.card.codec
        if options.start_from is not None:
            self._check_matches(read_card(options.start_from), options.start_from)
            load_weights(options.start_from, model)
        elif options.init_code_embeddings == "codec":
            codec = open_codec(spec.name)
            if codec.spec != spec:
                raise TrainingError(
                    f"The codes are of {spec.label}, and {codec.spec.revision} is installed; "
                    "install the other or set init_code_embeddings to random."
                )
            init_code_embeddings(model, torch.from_numpy(codec.codebooks), seed=options.seed)

    def _check_matches(self, card: CheckpointCard, checkpoint: Path) -> None:
        expected = {"model": self.config, "codec": self.training_set.card.codec}
        expected["phoneme table"] = self.training_set.card.phoneme_symbols
        # Dropout decides how weights are learnt, not which there are.
        model = card.model.model_copy(update={"dropout": self.config.dropout})
        found = {"model": model, "codec": card.codec, "phoneme table": card.phoneme_symbols}
        for part, value in expected.items():
            if found[part] != value:
                raise CheckpointError(
                    f"The {part} of checkpoint {checkpoint} is not that of this run ({found[part]} against {value}); "
                    "train in a new run directory."
                )

    def _continue_from(self, checkpoint: Path) -> None:
        card = read_card(checkpoint)
        self._check_matches(card, checkpoint)
        if card.training_set != self.training_set.card.id or card.engine != self.options.engine:
            raise CheckpointError(
                f"The run in {self.options.run_dir} used the set {card.training_set} and the {card.engine} engine; "
                "train in a new run directory."
            )
        self.engine.load_state(state_directory(checkpoint))
        self.progress = _Progress(card.step, card.cursor, card.seconds, card.step, card.metrics)
        log.info("Run %s continues at step %d.", card.run_id, card.step)

    def run(self, flag: StopFlag) -> str:
        """Train until there is a reason to stop, and return it."""
        options, progress = self.options, self.progress
        engine = self.engine
        window = Window()
        batches = self.data.batches(
            progress.cursor, rank=engine.rank, world_size=engine.world_size, prefetch=options.prefetch
        )
        began = time.monotonic()
        earlier = progress.seconds
        try:
            while True:
                reason = self._reason_to_stop(flag, time.monotonic() - began)
                if reason:
                    break
                started = time.monotonic()
                self._step(batches, window)
                now = time.monotonic()
                window.seconds += now - started
                progress.seconds = earlier + now - began
                last = progress.step == options.max_steps
                if progress.step % options.log_every == 0 or last:
                    self._log(window)
                    window = Window()
                if progress.step % options.evaluate_every == 0 or last:
                    self._evaluate()
                if progress.step % options.save_every == 0 and progress.last_saved != progress.step:
                    self.save()
        finally:
            batches.close()
        if progress.last_saved != progress.step:
            self.save()
        return reason

    def _reason_to_stop(self, flag: StopFlag, seconds: float) -> str:
        typed = self.commands.poll() if self.engine.rank == 0 else []
        wishes = {
            "finished": self.progress.step >= self.options.max_steps,
            "signal": flag.is_set,
            "quit": "quit" in typed,
            "time": self.options.max_seconds is not None and seconds >= self.options.max_seconds,
        }
        if self.engine.total("save" in typed):
            self.save()
        # All ranks stop at the same step, whichever of them was told to.
        return next((reason for reason, wish in wishes.items() if self.engine.total(wish) > 0), "")

    def _step(self, batches: Prefetcher[tuple[Batch, Cursor]], window: Window) -> None:
        options, progress, engine = self.options, self.progress, self.engine
        waiting = time.monotonic()
        loaded = [next(batches) for _ in range(options.accumulate)]
        window.waited += time.monotonic() - waiting
        labels = sum(batch.num_labels for batch, _ in loaded)
        divisor = engine.total(labels)
        torch.manual_seed(((options.seed << 32) + progress.step * 65_536 + engine.rank) % (1 << 63))  # of dropout
        loss = 0.0
        for batch, _ in loaded:
            report = engine.accumulate(batch, divisor)
            window.add(report, batch)
            loss += float(report.losses.sum())
        norm = engine.update(self._rate(progress.step + 1))
        if not math.isfinite(loss + (norm or 0.0)):
            raise TrainingError(
                f"Loss or gradient of step {progress.step + 1} is not finite; lower learning_rate, or continue the run "
                f"from its last checkpoint in {options.run_dir}."
            )
        if norm is not None:
            window.norms.append(norm)
        window.steps += 1
        progress.step += 1
        progress.cursor = loaded[-1][1]

    def _rate(self, step: int) -> float:
        options = self.options
        return learning_rate(
            step,
            peak=options.learning_rate,
            warmup_steps=options.warmup_steps,
            max_steps=options.max_steps,
            final_share=options.final_learning_rate,
            shape=options.schedule,
        )

    def _log(self, window: Window) -> None:
        progress, options = self.progress, self.options
        seconds_per_step = window.seconds / max(window.steps, 1)
        line = {
            "step": progress.step,
            "max_steps": options.max_steps,
            "epoch": progress.cursor.epoch,
            **window.quality(),
            **window.speed(),
            "learning_rate": self._rate(progress.step),
            "elapsed": round(progress.seconds, 2),
            "eta": round(seconds_per_step * (options.max_steps - progress.step), 1),
        }
        self._report(line)

    def _evaluate(self) -> None:
        window = Window()
        for batch in self.data.dev_batches(self.options.evaluate_batches):
            window.add(self.engine.evaluate(batch), batch)
        if window.tokens:
            self._report({"step": self.progress.step, **window.quality("dev_")})
        if self.options.examples:
            self._speak_examples()

    def _speak_examples(self) -> None:
        options = self.options
        self.save()
        if self.engine.rank == 0:
            checkpoint = checkpoint_directory(options.run_dir, self.progress.step)
            folder = options.run_dir / "audio"
            speak_examples(checkpoint, self.training_set, folder, count=options.examples, device=options.device)
        self.engine.total(0.0)  # a barrier: no rank trains on while one speaks

    def _report(self, line: Mapping[str, Any]) -> None:
        self.progress.metrics = {**self.progress.metrics, **line}
        if self.engine.rank == 0:
            self.metrics_file.write(line)
            if self.on_step is not None:
                self.on_step(line)

    def save(self) -> None:
        """Write a checkpoint of this step and forget old ones."""
        progress, options = self.progress, self.options
        checkpoint = checkpoint_directory(options.run_dir, progress.step)
        temporary = temporary_directory(checkpoint)
        weights = self.engine.weights()
        self.engine.save_state(state_directory(temporary))
        if self.engine.rank == 0:
            write_model(temporary, self._card(), weights)
            publish(temporary, checkpoint, keep=options.keep_checkpoints)
        self.engine.total(0.0)  # a barrier: no rank goes on before the checkpoint is there
        progress.last_saved = progress.step

    def _card(self) -> CheckpointCard:
        progress = self.progress
        return CheckpointCard(
            run_id=self.options.name,
            step=progress.step,
            training_set=self.training_set.card.id,
            model=self.config,
            codec=self.training_set.card.codec,
            phoneme_symbols=self.training_set.card.phoneme_symbols,
            engine=self.options.engine,
            cursor=progress.cursor,
            seconds=progress.seconds,
            saved_at=datetime.now(UTC).isoformat(timespec="seconds"),
            options=self.options.model_dump(mode="json"),
            metrics=progress.metrics,
        )


def model_config(training_set: TrainingSet, options: TrainOptions, begun: Path | None = None) -> ModelConfig:
    """The model of a run: its size from the options, everything else from the training set.

    The pace of a checkpoint that it goes on from is kept: its weights have learnt positions at that pace.
    """
    items = training_set.items
    languages = items["language"].unique().to_pylist()
    num_symbols = max(1, pc.sum(pc.list_value_length(items["symbols"])).as_py() or 0)
    num_frames = pc.sum(items["num_frames"]).as_py() or 0
    pace = max(0.01, round(num_frames / num_symbols, 2)) if begun is None else read_card(begun).model.text_stride
    card = training_set.card
    return preset(
        options.model,
        card.codec,
        num_symbols=len(card.phoneme_symbols),
        languages=languages,
        text_stride=pace,
        group=options.group,
        dropout=options.dropout,
    )


def train(options: TrainOptions, on_step: OnStep | None = None, *, commands: Commands | None = None) -> TrainResult:
    """Train, or continue the run in `options.run_dir`, until the last step, the time limit, a signal or `quit`.

    `on_step` gets every line of metrics. Sets torch's thread count when the options name one.
    Raises TrainingError for an unusable training set or a gradient that is not finite, CheckpointError when the run
    directory holds a different run, ConfigurationError for an unknown size.
    """
    started = time.monotonic()
    with stop_on_signals() as flag:
        run = _Run(options, on_step, commands or NoCommands())
        reason = run.run(flag)
    return TrainResult(
        run_id=options.name,
        step=run.progress.step,
        checkpoint=checkpoint_directory(options.run_dir, run.progress.step),
        reason=reason,
        seconds=time.monotonic() - started,
        metrics=run.progress.metrics,
    )
