"""The training loop: batches in, updates, metrics, evaluations and checkpoints out; stops when asked to.

A step is a pure function of the weights, the optimizer's state and the step number: data, dropout and learning rate
all follow from them. So a run that was stopped and continued ends with the same bits as one that was not (on a CPU).
"""

import logging
import math
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from valle.checkpoints.adapters import read_adapter
from valle.checkpoints.checkpoint import OWN_ADAPTER, CheckpointCard, adapter_path, read_weights, state_path
from valle.checkpoints.runs import checkpoint_directory
from valle.checkpoints.saving import remove_temporary_directories, save_checkpoint, set_aside
from valle.data.cursor import Cursor
from valle.data.selection.training_set import load_training_set
from valle.model.adapters.lora import file_tensors
from valle.model.batch import Batch
from valle.model.loss import LossReport
from valle.model.valle import ValleModel
from valle.prefetch import Prefetcher
from valle.process import prepare_process
from valle.state_files import read_state
from valle.training.commands import Commands, NoCommands, Orders, StopFlag, parse_commands, stop_on_signals
from valle.training.data import open_data
from valle.training.engines.engine import Engine
from valle.training.engines.memory import is_out_of_memory, out_of_memory
from valle.training.engines.memory_estimate import estimate_memory
from valle.training.engines.schedule import scheduled_rate
from valle.training.engines.selection import open_engine
from valle.training.export import export_step
from valle.training.initialization import (
    adapter_card,
    base_hash,
    check_card,
    choose_trained,
    initialize,
    model_config,
    phoneme_table_of,
    trained_symbols,
    with_sampling_of,
)
from valle.training.options import TrainOptions
from valle.training.progress import RunProgress, TrainResult
from valle.training.reports.metrics import MetricsFile, Window
from valle.training.reports.profiler import StepProfiler
from valle.training.reports.trackers import Trackers
from valle.training.resume import ResumePoint, check_options, find_resume_point
from warehouse.errors import CheckpointError, TrainingError

log = logging.getLogger(__name__)

OnStep = Callable[[Mapping[str, Any]], None]
_Batches = Prefetcher[tuple[Batch, Cursor]]

MAX_LOSS = 10.0
"""Loss of a diverged model, in units of the loss of a uniform guess; an untrained one has about 1."""
MAX_WEIGHT = 65_504.0
"""Weight of a diverged model: the largest number in half precision, in which checkpoints are exported."""


class _Run:
    """A run that is open in this process: data, engine, progress and metrics."""

    def __init__(self, options: TrainOptions, on_step: OnStep | None, commands: Commands) -> None:
        prepare_process(options.threads or torch.get_num_threads())
        self.on_step = on_step
        self.commands = commands
        self.training_set = load_training_set(options.training_set)
        resume_point = find_resume_point(options.run_dir)
        earlier = resume_point.checkpoint if resume_point else options.start_from
        self.options = with_sampling_of(earlier, options)
        self.config = model_config(self.training_set, options, resume_point.card if resume_point else None)
        self.table = phoneme_table_of(self.training_set, earlier)
        self.trained_symbols = trained_symbols(self.training_set, earlier)
        self.base_hash = base_hash(options) if options.lora.rank else ""
        # Before data and engine, which need minutes: a refusal should come at once.
        if resume_point is not None:
            self._check_resume_point(resume_point)
        self.data = open_data(self.training_set, self.config, options, self.table)
        self.engine = self._open_engine(is_new=resume_point is None)
        self.progress = RunProgress() if resume_point is None else self._resume(resume_point)
        if self.engine.rank == 0:
            remove_temporary_directories(options.run_dir)
        self.last_batch: Batch | None = None  # of this process
        self.checked_step = self.progress.step
        self.trackers = Trackers(options if self.engine.rank == 0 else None, step=self.progress.step)
        self.metrics_file = MetricsFile(options.run_dir / "metrics.jsonl", step=self.progress.step)

    def _open_engine(self, *, is_new: bool) -> Engine:
        torch.manual_seed(self.options.seed)
        model = ValleModel(self.config)
        # The state of an adapter does not have the weights of its base.
        if is_new or self.options.lora.rank:
            initialize(model, self.training_set, self.options)
        choose_trained(model, self.options)
        self.memory = estimate_memory(model, self.options)
        log.info("%s", self.memory.describe())
        return open_engine(model, self.options)

    def _check_resume_point(self, point: ResumePoint) -> None:
        """Refuse to continue another run, and name the options that changed."""
        check_card(point.card, point.checkpoint, self.config, self.training_set, self.table)
        if point.card.training_set != self.training_set.card.id:
            raise CheckpointError(
                f"The run in {self.options.run_dir} used {point.card.training_set}; train in a new run directory."
            )
        if self.options.lora.rank and read_adapter(adapter_path(point.checkpoint))[0].base_hash != self.base_hash:
            raise CheckpointError(
                f"The weights of {self.options.start_from} are not those that {self.options.run_dir} adapts; put them "
                "back, or train in a new run directory."
            )
        for name, (before, after) in check_options(point.card, self.options).items():
            log.warning("Run %s continues with %s %s instead of %s.", point.card.run_id, name, after, before)

    def _resume(self, point: ResumePoint) -> RunProgress:
        card = point.card
        # The state of an adapter is whole without the merged weights.
        weights = {} if self.options.lora.rank else read_weights(point.checkpoint)
        self.engine.load_state(read_state(state_path(point.checkpoint)), weights)
        if card.ranks != self.engine.world_size:
            log.warning("Run %s continues on %d ranks instead of %d.", card.run_id, self.engine.world_size, card.ranks)
        self.engine.barrier()  # every rank has read the damaged ones before one renames them
        if self.engine.rank == 0:
            for damaged in point.damaged:
                log.warning("The damaged checkpoint is now called %s.", set_aside(damaged))
        log.info("Run %s continues at step %d.", card.run_id, card.step)
        return RunProgress(card.step, card.cursor, card.seconds, card.metrics.get("tokens", 0), card.step, card.metrics)

    def run(self, flag: StopFlag) -> str:
        """Train until there is a reason to stop, and return it."""
        options, progress, engine = self.options, self.progress, self.engine
        batches = self.data.batches(
            progress.cursor, rank=engine.rank, world_size=engine.world_size, prefetch=options.prefetch
        )
        # The thread of the batches would keep the process alive.
        with closing(batches), closing(self.trackers):
            reason = self._steps(batches, flag)
        self._save()
        return reason

    def _steps(self, batches: _Batches, flag: StopFlag) -> str:
        """Step until there is a reason to stop, and return it."""
        options, progress, engine, window = self.options, self.progress, self.engine, Window()
        began, earlier_seconds = time.monotonic(), progress.seconds
        with StepProfiler(options.profile_steps if engine.rank == 0 else 0, options.run_dir / "profile") as profiler:
            while True:
                commands = self._obey_commands()
                reason = self._reason_to_stop(flag, commands, time.monotonic() - began)
                if reason:
                    break
                started = time.monotonic()
                self._step(batches, window)
                profiler.step()
                now = time.monotonic()
                window.seconds += now - started
                progress.seconds = earlier_seconds + now - began
                window = self._report_step(window)
        return reason

    def _obey_commands(self) -> frozenset[str]:
        """Do what was asked for on rank 0, on all ranks; returns the commands."""
        orders = parse_commands(self.commands.poll()) if self.engine.rank == 0 else Orders()
        # One number, so that a step without commands exchanges one.
        names = Orders.names_of(int(self.engine.sum(orders.code)))
        if "lr" in names:
            peak = self.engine.sum(orders.learning_rate)
            log.info("The peak learning rate is %g from step %d on.", peak, self.progress.step + 1)
            self.options = self.options.model_copy(update={"learning_rate": peak})
        if "eval" in names:
            self._evaluate()
        if names & {"save", "export"}:
            self._save()
        if "export" in names:
            if self.engine.rank == 0:
                export_step(self.options.run_dir, self.progress.step)
            self.engine.barrier()
        return names

    def _reason_to_stop(self, flag: StopFlag, commands: frozenset[str], seconds: float) -> str:
        reasons = {
            "finished": self.progress.step >= self.options.max_steps,
            "signal": flag.is_set,
            "quit": "quit" in commands,
            "time": self.options.max_seconds is not None and seconds >= self.options.max_seconds,
        }
        # All ranks stop at the same step, whichever of them was asked to.
        return next((reason for reason, applies in reasons.items() if self.engine.sum(applies)), "")

    def _step(self, batches: _Batches, window: Window) -> None:
        options, progress, engine = self.options, self.progress, self.engine
        waiting = time.monotonic()
        loaded = [next(batches) for _ in range(options.accumulate)]
        window.waited += time.monotonic() - waiting
        divisor = engine.sum(sum(batch.num_labels for batch, _ in loaded))
        # Dropout is keyed by the step, so that a resumed run draws what an uninterrupted one would.
        torch.manual_seed(((options.seed << 32) + progress.step * 65_536 + engine.rank) % (1 << 63))
        loss = 0.0
        for batch, _ in loaded:
            report = self._accumulate(batch, divisor)
            window.add(report, batch)
            loss += float(report.losses.sum())
        norm = engine.update(scheduled_rate(self.options, progress.step + 1))
        if not math.isfinite(engine.sum(loss) + (norm or 0.0)):
            raise TrainingError(
                f"The loss or gradient of step {progress.step + 1} is not finite; {self._advice_after_divergence()}"
            )
        if norm is not None:
            window.norms.append(norm)
        window.steps += 1
        progress.step += 1
        # At every step: a run that stops between two lines of metrics continues with the right number.
        progress.tokens += round(engine.sum(sum(batch.num_tokens for batch, _ in loaded)))
        self.last_batch, progress.cursor = loaded[-1]

    def _accumulate(self, batch: Batch, divisor: float) -> LossReport:
        try:
            return self.engine.accumulate(batch, divisor)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # After the handler, whose traceback keeps the tensors of the step. The weights are those of the last update;
        # the other ranks wait in this step and would not come to save.
        is_saved = self.engine.world_size == 1 and self.progress.step > 0
        if is_saved:
            self._save()
        raise TrainingError(out_of_memory(batch, self.progress.step + 1, is_saved=is_saved))

    def _report_step(self, window: Window) -> Window:
        """Log, evaluate and save when it is time to; returns the window of the next step."""
        options, step = self.options, self.progress.step
        is_last = step == options.max_steps
        is_evaluated = step % options.evaluate_every == 0 or is_last
        is_saved = step % options.save_every == 0 or (is_evaluated and options.examples > 0)
        # First, so that no metric of a diverged model is written as that of a good one.
        if is_evaluated or is_saved:
            self._check_divergence()
        if step % options.log_every == 0 or is_last:
            self._log(window)
            window = Window()
        if is_evaluated:
            self._evaluate()
        if is_saved:
            self._save()
        if is_evaluated and options.examples:
            self._speak_examples()
        return window

    def _check_divergence(self) -> None:
        """Compute a loss with the updated weights, which nothing has done yet. Raises TrainingError if they diverged.

        The loss of a step is computed before its update, so it cannot tell whether that update is fit to be saved.
        """
        if self.last_batch is None or self.checked_step == self.progress.step:
            return
        report = self.engine.probe(self.last_batch)
        loss = float(report.losses.sum() / report.counts.sum().clamp(min=1))
        largest = self.engine.largest_weight()
        # Not a comparison with `>`: those with a loss that is no number are false.
        is_sound = loss <= MAX_LOSS * math.log(self.config.codebook_size) and largest <= MAX_WEIGHT
        if self.engine.sum(not is_sound):
            raise TrainingError(
                f"The update of step {self.progress.step} diverged (loss {loss:.3g}, largest weight {largest:.3g}) and "
                f"is not saved; {self._advice_after_divergence()}"
            )
        self.checked_step = self.progress.step

    def _advice_after_divergence(self) -> str:
        last = self.progress.last_saved
        if last is None:
            return "lower learning_rate and start again; no checkpoint was saved yet."
        checkpoint = checkpoint_directory(self.options.run_dir, last)
        return f"lower learning_rate and start again, which continues from {checkpoint}."

    def _log(self, window: Window) -> None:
        progress, options = self.progress, self.options
        line = {
            "step": progress.step,
            "max_steps": options.max_steps,
            "epoch": progress.cursor.epoch,
            "tokens": progress.tokens,
            "parameters": self.memory.parameters,
            "memory_forecast_gb": self.memory.gigabytes,
            **window.quality(),
            **window.experts(),
            **window.speed(),
            "learning_rate": scheduled_rate(self.options, progress.step),
            "elapsed": round(progress.seconds, 2),
            "eta": round(window.seconds / max(window.steps, 1) * (options.max_steps - progress.step), 1),
        }
        self._report(line)

    def _evaluate(self) -> None:
        window = Window()
        for batch in self.data.dev_batches(self.options.evaluate_batches):
            window.add(self.engine.evaluate(batch), batch)
        if window.tokens:
            self._report({"step": self.progress.step, **window.quality("dev_")})

    def _speak_examples(self) -> None:
        """Synthesize examples with the checkpoint of this step, which must be saved."""
        options = self.options
        if self.engine.rank == 0:
            # Synthesis is loaded by the runs that ask for examples, and by the one process that speaks.
            from valle.training.reports.examples import speak_examples

            checkpoint = checkpoint_directory(options.run_dir, self.progress.step)
            folder = options.run_dir / "audio"
            speak_examples(checkpoint, self.training_set, folder, count=options.examples, device=options.device)
        self.engine.barrier()

    def _report(self, line: Mapping[str, Any]) -> None:
        self.progress.metrics = {**self.progress.metrics, **line}
        if self.engine.rank == 0:
            self.metrics_file.write(line)
            self.trackers.log(line)
            if self.on_step is not None:
                self.on_step(line)

    def _save(self) -> None:
        """Write a checkpoint of this step, unless there is one, and remove old ones.

        Raises TrainingError when the weights diverged, and CheckpointError when it cannot be written.
        """
        progress, options, engine = self.progress, self.options, self.engine
        if progress.last_saved == progress.step:
            return
        self._check_divergence()
        # Gathered by all ranks, written by one.
        weights, state = engine.weights(), engine.state()
        failure: CheckpointError | None = None
        if engine.rank == 0:
            checkpoint = checkpoint_directory(options.run_dir, progress.step)
            try:
                self._write(checkpoint, weights, state)
            except CheckpointError as error:
                failure = error
        # Also a barrier: no rank continues before the checkpoint exists, or after it failed.
        if engine.sum(failure is not None):
            raise failure or CheckpointError("Rank 0 could not write the checkpoint; see its message.")
        progress.last_saved = progress.step

    def _write(self, checkpoint: Path, weights: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        options, adapter = self.options, None
        if options.lora.rank:
            adapter = adapter_card(options, self.base_hash, step=self.progress.step)
            weights = file_tensors(weights, f"adapters.loaded.{OWN_ADAPTER}.")
        save_checkpoint(checkpoint, self._card(), weights, state, keep=options.keep_checkpoints, adapter=adapter)

    def _card(self) -> CheckpointCard:
        progress, card = self.progress, self.training_set.card
        return CheckpointCard(
            run_id=self.options.name,
            step=progress.step,
            training_set=card.id,
            model=self.config,
            codec=card.codec,
            phoneme_symbols=self.table.symbols,
            phoneme_strings=self.table.strings,
            trained_symbols=self.trained_symbols,
            engine=self.options.engine,
            ranks=self.engine.world_size,
            cursor=progress.cursor,
            seconds=progress.seconds,
            saved_at=datetime.now(UTC).isoformat(timespec="seconds"),
            options=self.options.model_dump(mode="json"),
            metrics={**progress.metrics, "tokens": progress.tokens},
        )


def train(options: TrainOptions, on_step: OnStep | None = None, *, commands: Commands | None = None) -> TrainResult:
    """Train, or continue the run in `options.run_dir`, until the last step, the time limit, a signal or `quit`.

    `on_step` receives every line of metrics. Sets torch's thread count when the options name one.
    Raises TrainingError for an unusable training set and for a run that diverges, CheckpointError when the run
    directory holds another run or a checkpoint cannot be written, ConfigurationError for an unknown size.
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
