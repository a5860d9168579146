"""Continuation of a run: its newest intact checkpoint, and the options that may differ from those of its card."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from valle.checkpoints.checkpoint import CheckpointCard, check_files, read_card, state_path
from valle.checkpoints.runs import list_checkpoints
from valle.training.options import TrainOptions
from warehouse.errors import CheckpointError

log = logging.getLogger(__name__)

# Options that cannot change within a run, with the reason. The model itself is compared by its configuration.
_FIXED = {
    "engine": "each engine has its own training state",
    "optimizer": "its state is that of another optimizer",
    "lora": "its state is that of other parameters",
    "freeze": "its state is that of other parameters",
    "seed": "the order of the data depends on it",
}
_NEW_RUNS_ONLY = ("start_from", "embeddings_from", "init_code_embeddings")
# Paths may move with their machine; the training set is compared by its id.
_NOT_COMPARED = ("training_set", "run_dir", "nodes", "deepspeed_config", *_NEW_RUNS_ONLY)


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """The checkpoint that a run continues from, and newer ones that are damaged."""

    checkpoint: Path
    card: CheckpointCard
    damaged: tuple[Path, ...]


def find_resume_point(run_dir: Path) -> ResumePoint | None:
    """Find the newest intact checkpoint of a run; None when the run is new.

    A damaged one is named in a warning and the one before it is used. Raises CheckpointError when all are damaged.
    """
    damaged: list[Path] = []
    first_error: CheckpointError | None = None
    for checkpoint in reversed(list_checkpoints(run_dir)):
        try:
            card = read_card(checkpoint)
            check_files(checkpoint, card)
            if not state_path(checkpoint).exists():
                raise CheckpointError(
                    f"{checkpoint} has no training state; name it as `start_from` of a run in a new directory."
                )
        except CheckpointError as error:
            log.warning("%s", error)
            first_error = first_error or error
            damaged.append(checkpoint)
            continue
        if damaged:
            log.warning("The run continues from the older checkpoint %s.", checkpoint)
        return ResumePoint(checkpoint, card, tuple(damaged))
    if first_error is not None:
        raise CheckpointError(f"No checkpoint of {run_dir} can be continued: {first_error}")
    return None


def check_options(card: CheckpointCard, options: TrainOptions) -> dict[str, tuple[Any, Any]]:
    """Compare options with those of a checkpoint; returns old and new value of each that changed.

    Raises CheckpointError for an option that cannot change within a run.
    """
    # As JSON, since tuples of the options are lists in the card.
    requested = options.model_dump(mode="json")
    for name, reason in _FIXED.items():
        if name in card.options and card.options[name] != requested[name]:
            raise CheckpointError(
                f"The run in {options.run_dir} has {name} {card.options[name]}, not {requested[name]}: {reason}; "
                "set it back, or train in a new run directory."
            )
    for name in _NEW_RUNS_ONLY:
        # Leaving the option out is harmless: the weights are there already.
        is_given = getattr(options, name) != type(options).model_fields[name].default
        if is_given and requested[name] != card.options.get(name):
            raise CheckpointError(
                f"The run in {options.run_dir} exists, and {name} applies to new runs only; leave it out, or "
                "train in a new run directory."
            )
    return _changes(card.options, {name: value for name, value in requested.items() if name not in _NOT_COMPARED})


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {name: (before[name], value) for name, value in after.items() if name in before and before[name] != value}
