"""Training as a flow. The trainer is a subprocess, so that a cancelled run ends it cleanly.

Do not import torch here: Prefect imports this module to deploy it and again whenever a run is cancelled.
"""

import json
import os
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import flow

from flows.machine.nodes import launch_command
from flows.parameters import TrainParameters
from flows.runtime.artifacts import publish_report
from flows.runtime.events import start_once
from flows.runtime.notices import notify
from flows.runtime.subprocesses import has_terminal, run_module
from flows.runtime.training_progress import TrainingProgress
from flows.server.forms import offer_what_exists
from valle.checkpoints.runs import latest_checkpoint, newest_checkpoint, read_content
from valle.data_root import DataRoot
from valle.reporting import write_text
from valle.training.engines.nodes import find_nodes
from valle.training.options import TrainOptions, locate_checkpoints
from warehouse.errors import CommitConflict, TrainingError
from warehouse.model_rows import CheckpointRow

if TYPE_CHECKING:
    from valle.checkpoints.checkpoint import CheckpointCard


@flow(name="train", flow_run_name="train {parameters.run}")
def train(parameters: TrainParameters) -> "CheckpointCard":
    """Train a model on a training set; a run that exists is resumed."""
    root = parameters.data_root
    run_dir = root.runs / parameters.run
    options = TrainOptions(
        **locate_checkpoints(parameters.options, partial(newest_checkpoint, root.runs)).model_dump(),
        training_set=root.training_sets / parameters.training_set,
        run_dir=run_dir,
        run_id=parameters.run,
    )
    if is_finished(run_dir, options.max_steps):
        notify("train %s: nothing to do, it has %d steps", parameters.run, options.max_steps)
    else:
        run_trainer(options)
    checkpoint = latest_checkpoint(run_dir)
    if checkpoint is None:
        raise TrainingError(f"Run {parameters.run} ended without a checkpoint; run it with --verbose to see its log.")
    card = _read_card(checkpoint)
    record_checkpoint(root, checkpoint, card)
    _report(root, card)
    root.catalogue.refresh()
    offer_what_exists(root)
    if parameters.evaluate:
        changes = {"run": parameters.run, "data": str(root.root)}
        start_once("evaluate/evaluate", changes, key=f"evaluate {card.checkpoint_id}")
    return card


def is_finished(run_dir: Path, max_steps: int, max_seconds: float | None = None) -> bool:
    """Return whether a run has its steps, or its seconds over all sessions."""
    checkpoint = latest_checkpoint(run_dir)
    if checkpoint is None:
        return False
    content = read_content(checkpoint)
    return bool(content["step"] >= max_steps or (max_seconds is not None and content["seconds"] >= max_seconds))


def _read_card(checkpoint: Path) -> "CheckpointCard":
    from valle.checkpoints.checkpoint import read_card

    return read_card(checkpoint)


def _report(root: DataRoot, card: "CheckpointCard") -> None:
    # Matplotlib takes a second to import, which the start of a training need not wait for.
    from valle.statistics.training import plot_training

    folder = root.reports / f"train-{card.run_id}"
    plot = plot_training(root.runs / card.run_id / "metrics.jsonl", folder / "loss.png", fields=("loss", "dev_loss"))
    lines = [f"| {name} | {value} |" for name, value in card.metrics.items()]
    markdown = folder / "report.md"
    write_text(
        markdown,
        f"# Training {card.run_id}\n\nStep {card.step:,}, {card.seconds:,.0f} s on {card.training_set}.\n\n"
        f"![loss](loss.png)\n\n| metric | last |\n| --- | ---: |\n" + "\n".join(lines) + "\n\n"
        f"Next: `valle evaluate --run {card.run_id}`\n",
    )
    publish_report(f"train {card.run_id}", markdown, [plot])


def run_trainer(options: TrainOptions) -> None:
    """Run `python -m valle.training` on `options` and report its progress.

    Raises TrainingError with the trainer's last line when it fails, and ConfigurationError for nodes that cannot be
    read.
    """
    options.run_dir.mkdir(parents=True, exist_ok=True)
    # A command for an earlier process, such as a second `quit`, would end this one at once.
    (options.run_dir / "commands").unlink(missing_ok=True)
    options_file = options.run_dir / "options.json"
    write_text(options_file, options.model_dump_json(indent=2) + "\n")
    progress = TrainingProgress(options.run_id, options.run_dir / "metrics.jsonl")
    commands = "save, eval, export, lr NUMBER or quit"
    # The first node may be another machine, so no terminal is read for several.
    is_typed = has_terminal() and not options.nodes
    where = "type it" if is_typed else f"write it to {options.run_dir / 'commands'}"
    notify("Commands while it trains: %s; %s", commands, where)
    nodes = find_nodes(options.nodes, options.processes, os.environ)
    module, arguments = launch_command(nodes, options.processes, "valle.training", [str(options_file)])
    run_module(
        module,
        arguments,
        what=f"Training {options.name}",
        on_output=progress.poll,
        has_commands=is_typed,
    )


def record_checkpoint(root: DataRoot, checkpoint: Path, card: "CheckpointCard") -> None:
    """Add a checkpoint to the lake, once."""
    row = CheckpointRow(
        checkpoint_id=card.checkpoint_id,
        run_id=card.run_id,
        training_set=card.training_set,
        codec=card.codec.label,
        step=card.step,
        path=str(checkpoint),
        config=json.dumps(dict(card.options), default=str),
        metrics=json.dumps(dict(card.metrics), default=str),
        saved_at=datetime.now(UTC),
    )
    try:
        root.lake.append(CheckpointRow, [row], f"checkpoint:{card.checkpoint_id}")
    except CommitConflict:
        notify("checkpoint %s is in the lake already", card.checkpoint_id)
