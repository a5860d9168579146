"""Refuse a task that a checkpoint has not learnt: the answer would be noise."""

from valle.checkpoints.checkpoint import CheckpointCard
from valle.tasks.registry import learnt_tasks
from warehouse.errors import CheckpointError


def require_task(card: CheckpointCard, task: str, *, purpose: str, option: str) -> None:
    """Return if the checkpoint was trained on rows of a task.

    Raises CheckpointError otherwise; `purpose` completes "has not learnt to", `option` is that of the training mix.
    """
    if task not in learnt_tasks(card.options):
        raise CheckpointError(
            f"{card.checkpoint_id} has not learnt to {purpose}; train with --options.{option.replace('_', '-')} 0.2 or "
            "name another checkpoint with --run or --checkpoint."
        )
